"""The first example of Esri's documentation, from a cache to a picture: `make demo`.

It cuts a world cache, deploys the stack to an AWS emulator, publishes the cache as the image service World_Imagery,
exports levels 0-7 over HTTP, downloads the tile package, and opens it with GDAL.
"""

import json
import sys
import time
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

import click
import rasterio
from PIL import Image

from exporttiles.cli.progress import progress_bar
from exporttiles.formats.bundles.v2 import RECORDS_OFFSET, parse_bundle_path, read_index
from local.cloud import ROOT, LocalCloud, LocalCloudError
from local.services import exporttiles, upload_and_publish
from local.world_cache import make_xyz_cache

SERVICE = "World_Imagery"
CACHE = ROOT / ".cache" / SERVICE
DELIVERED = ROOT / "demo"  # its own folder, so that no file of the user is overwritten or removed
PACKAGE = DELIVERED / f"{SERVICE}.tpkx"
PREVIEW = DELIVERED / f"{SERVICE}.png"
PREVIEW_PIXELS = 1024
POLL_SECONDS = 0.5
CHUNK_BYTES = 1 << 20

EXPORT = {
    "tilePackage": "true",
    "exportExtent": "",
    "optimizeTilesForSize": "true",
    "compressionQuality": "90",
    "exportBy": "levelId",
    "levels": "0-7",
    "areaOfInterest": "",
    "f": "json",
}


def main() -> None:
    """Run the demo; Ctrl-C stops everything that it started."""
    DELIVERED.mkdir(exist_ok=True)
    with progress_bar("Cutting a world cache") as bar:
        make_xyz_cache(CACHE, progress=bar)
    with LocalCloud(say=click.echo) as cloud:
        service_url = upload_and_publish(cloud, CACHE)
        request = f"{service_url}/exportTiles?{urlencode(EXPORT)}"
        click.echo(f"\nGET {request}\n")
        start = time.monotonic()
        job_url = f"{service_url}/exportTiles/jobs/{get_json(request)['jobId']}"
        job = wait_for_job(job_url)
        elapsed_seconds = time.monotonic() - start
        download(package_url(job_url, job), PACKAGE)
    for message in job["messages"]:
        click.echo(f"  {message['description']}")
    click.echo("")
    exporttiles(cloud, "check", str(PACKAGE))
    describe(PACKAGE, elapsed_seconds)
    draw_preview(PACKAGE, PREVIEW)


def get_json(url: str) -> dict[str, Any]:
    """Return a JSON response.

    Raises:
        SystemExit: the service answered with an error.
    """
    with urlopen(url) as response:  # noqa: S310 (http, on this machine)
        answer: dict[str, Any] = json.load(response)
    if "error" in answer:
        raise SystemExit(f"{url}\nanswered {answer['error']}")
    return answer


def wait_for_job(job_url: str) -> dict[str, Any]:
    """Poll a job, show its progress, and return its last document.

    Raises:
        SystemExit: the job did not succeed.
    """
    with progress_bar("Exporting") as bar:
        while True:
            job = get_json(f"{job_url}?f=json")
            progress = job.get("progress", {})
            if job["jobStatus"] == "esriJobSucceeded":
                bar(1, 1)
                return job
            if job["jobStatus"] not in {"esriJobNew", "esriJobWaiting", "esriJobSubmitted", "esriJobExecuting"}:
                raise SystemExit(f"{job['jobStatus']}: {[message['description'] for message in job['messages']]}")
            bar(progress.get("percent", 0), 100)
            time.sleep(POLL_SECONDS)


def package_url(job_url: str, job: dict[str, Any]) -> str:
    """Return the address of the package of a finished job, found as Esri's clients do."""
    result = get_json(f"{job_url}/{job['results']['out_service_url']['paramUrl']}?f=json")
    url: str = get_json(f"{result['value']}?f=json")["files"][0]["url"]
    return url


def download(url: str, path: Path) -> None:
    """Download a file; redirects to S3 are followed."""
    with urlopen(url) as response, path.open("wb") as file, progress_bar("Downloading") as bar:  # noqa: S310
        size_bytes = int(response.headers["Content-Length"])
        while chunk := response.read(CHUNK_BYTES):
            file.write(chunk)
            bar(file.tell(), size_bytes)


def describe(package: Path, elapsed_seconds: float) -> None:
    """Print the bundles, tiles and bytes of each level of a package, from its bundles."""
    tiles: Counter[int] = Counter()
    size_bytes: Counter[int] = Counter()
    bundles: Counter[int] = Counter()
    with zipfile.ZipFile(package) as members:
        for member in members.infolist():
            if member.filename.endswith(".bundle"):
                level = parse_bundle_path(member.filename.removeprefix("tile/")).level
                with members.open(member) as bundle:
                    index = read_index(bundle.read(RECORDS_OFFSET))
                tiles[level] += int((index.size > 0).sum())
                size_bytes[level] += int(index.size.sum())
                bundles[level] += 1
    click.echo(f"\n{package.name}: {package.stat().st_size / 1e6:.1f} MB\n\n  level  bundles    tiles         bytes")
    for level in sorted(tiles):
        click.echo(f"  {level:5}  {bundles[level]:7}  {tiles[level]:7,}  {size_bytes[level]:12,}")
    click.echo(f"  {'all':>5}  {bundles.total():7}  {tiles.total():7,}  {size_bytes.total():12,}\n")
    click.echo(f"Exported in {elapsed_seconds:.1f} s: {tiles.total() / elapsed_seconds:,.0f} tiles a second")


def draw_preview(package: Path, path: Path) -> None:
    """Draw the package with GDAL."""
    with rasterio.open(package, EXTENT_SOURCE="TILING_SCHEME") as dataset:
        levels = 1 + len(dataset.overviews(1))
        size = f"{dataset.width} x {dataset.height} pixels"
        click.echo(f"GDAL {rasterio.__gdal_version__} sees {dataset.crs}, {size}, {levels} levels")
        pixels = dataset.read((1, 2, 3), out_shape=(3, PREVIEW_PIXELS, PREVIEW_PIXELS))
    Image.fromarray(pixels.transpose(1, 2, 0)).save(path)
    click.echo(f"Preview: {path.relative_to(ROOT)}")


if __name__ == "__main__":
    try:
        main()
    except LocalCloudError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(130)
