"""Run the stack with two image services until Ctrl-C: `make serve PORT=8080`."""

import argparse
import shlex
import signal
import sys
from pathlib import Path

import click

from exporttiles.cli.progress import progress_bar
from local.cloud import ROOT, LocalCloud, LocalCloudError
from local.compact_cache import make_compact_cache
from local.services import upload_and_publish
from local.world_cache import JPEG_QUALITY, make_xyz_cache

CACHES = ROOT / ".cache"
IMAGERY, RELIEF = "World_Imagery", "World_Relief"
RELIEF_MAX_LEVEL = 5


def main() -> None:
    """Serve until SIGINT or SIGTERM, then stop every process that was started."""
    parser = argparse.ArgumentParser(prog="python -m local.serve", description=__doc__)
    parser.add_argument("--port", type=int, default=8080, help="port on 127.0.0.1 (8080)")
    port: int = parser.parse_args().port
    cut_caches()
    with LocalCloud(port=port, say=click.echo) as cloud:
        imagery_url, relief_url = (upload_and_publish(cloud, CACHES / name) for name in (IMAGERY, RELIEF))
        click.echo(instructions(cloud, imagery_url, relief_url))
        signal.pause()


def instructions(cloud: LocalCloud, imagery_url: str, relief_url: str) -> str:
    """Return the addresses to open and the commands to copy."""
    variables = " ".join(f"{name}={shlex.quote(value)}" for name, value in sorted(cloud.environment.items()))
    command = shlex.quote(str(Path(sys.executable).with_name("exporttiles")))
    return f"""
Open in a browser: {cloud.services_url}
  {imagery_url}
  {relief_url}

Export a package:
curl '{relief_url}/exportTiles?tilePackage=true&levels=0-3&f=json'

Publish your own cache, a folder or a .tpkx, .tpk or .pmtiles, from another terminal:
export {variables}; {command} publish My_Map path/to/cache

Ctrl-C stops it."""


def cut_caches() -> None:
    """Make World_Imagery as single files and World_Relief as a compact cache, unless they exist."""
    with progress_bar(f"cutting {IMAGERY}") as bar:
        make_xyz_cache(CACHES / IMAGERY, progress=bar)
    tiles, relief = CACHES / f"{RELIEF}_tiles", CACHES / RELIEF
    with progress_bar(f"cutting {RELIEF}") as bar:
        make_xyz_cache(tiles, source="etopo", max_level=RELIEF_MAX_LEVEL, progress=bar)
    if not (relief / "conf.xml").exists():
        make_compact_cache(tiles, relief, max_level=RELIEF_MAX_LEVEL, quality=JPEG_QUALITY)


if __name__ == "__main__":
    try:
        main()
    except LocalCloudError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        pass
