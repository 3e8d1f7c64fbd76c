"""Run the stack with two image services until Ctrl-C: `make serve PORT=8080`."""

import shlex
import signal
import sys
from contextlib import suppress
from pathlib import Path

import click

from exporttiles.cli.progress import progress_bar
from local.cloud import ROOT, LocalCloud, LocalCloudError, require_free
from local.compact_cache import make_compact_cache
from local.services import upload_and_publish
from local.world_cache import JPEG_QUALITY, make_xyz_cache

CACHES = ROOT / ".cache"
IMAGERY, RELIEF = "World_Imagery", "World_Relief"
RELIEF_MAX_LEVEL = 5
AUTHORS = {IMAGERY: "Shaded relief by Tom Patterson", RELIEF: "ETOPO relief by NOAA"}


@click.command(help=(__doc__ or "").partition("\n")[0])
@click.option("--port", type=click.IntRange(1, 65535), default=8080, show_default=True, help="TCP port on 127.0.0.1.")
def main(port: int) -> None:
    """Serve until SIGINT or SIGTERM, then stop every process that was started.

    Raises:
        ClickException: the port is in use, or the stack could not be deployed.
    """
    try:
        require_free(port)  # before the caches are cut, which takes a while
        cut_caches()
        with LocalCloud(port=port, say=click.echo) as cloud:
            imagery_url, relief_url = (
                upload_and_publish(cloud, CACHES / name, "--copyright", author) for name, author in AUTHORS.items()
            )
            click.echo(instructions(cloud, imagery_url, relief_url))
            wait()
        click.echo("Stopped.")
    except LocalCloudError as error:
        raise click.ClickException(str(error)) from error


def wait() -> None:
    """Return at Ctrl-C, and announce the end."""
    try:
        with suppress(KeyboardInterrupt):
            signal.pause()
    finally:
        click.echo("\nStopping the stack ...")


def instructions(cloud: LocalCloud, imagery_url: str, relief_url: str) -> str:
    """Return the addresses to open and the commands to copy."""
    variables = " ".join(f"{name}={shlex.quote(value)}" for name, value in sorted(cloud.environment.items()))
    command = shlex.quote(str(Path(sys.executable).with_name("exporttiles")))
    return f"""
Open the map in a browser, draw an area, and download it:
  {imagery_url}
  {relief_url}

All services: {cloud.services_url}

Export a package:
curl '{relief_url}/exportTiles?tilePackage=true&levels=0-3&f=json'

Publish your own cache (a folder, .tpkx, .tpk, .zip or .pmtiles) or GeoTIFF from another terminal:
export {variables}; {command} publish My_Map path/to/cache

Ctrl-C stops it. Published services, jobs and packages are lost then; your cache is not touched."""


def cut_caches() -> None:
    """Make World_Imagery of single files and World_Relief as a compact cache, unless they exist."""
    with progress_bar(f"Cutting {IMAGERY}") as bar:
        make_xyz_cache(CACHES / IMAGERY, progress=bar)
    tiles, relief = CACHES / f"{RELIEF}_tiles", CACHES / RELIEF
    with progress_bar(f"Cutting {RELIEF}") as bar:
        make_xyz_cache(tiles, source="etopo", max_level=RELIEF_MAX_LEVEL, progress=bar)
    if not (relief / "conf.xml").exists():
        make_compact_cache(tiles, relief, max_level=RELIEF_MAX_LEVEL, quality=JPEG_QUALITY)


if __name__ == "__main__":
    main()
