"""Caches and image services in a local cloud."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import obstore
from obstore.store import S3Store

from exporttiles.cli.progress import progress_bar
from local.cloud import CREDENTIALS, REGION, LocalCloud

UPLOADS_AT_A_TIME = 16


def store_of(cloud: LocalCloud) -> S3Store:
    """Return the tile bucket of a local cloud."""
    return S3Store(
        cloud.outputs["TileBucketName"],
        endpoint=cloud.url,
        region=REGION,
        access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
        secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        virtual_hosted_style_request=False,
        client_options={"allow_http": True},
    )


def upload_folder(
    cloud: LocalCloud, folder: Path, prefix: str, progress: Callable[[int, int], None] = lambda _done, _total: None
) -> int:
    """Upload the files below a folder to the tile bucket, under a prefix; return their number."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    store = store_of(cloud)
    done = 0

    async def upload(waiting: list[Path]) -> None:
        nonlocal done
        while waiting:
            path = waiting.pop()
            await obstore.put_async(store, f"{prefix}/{path.relative_to(folder).as_posix()}", path.read_bytes())
            done += 1
            progress(done, len(files))

    async def upload_all() -> None:
        waiting = files[::-1]
        await asyncio.gather(*(upload(waiting) for _ in range(UPLOADS_AT_A_TIME)))

    asyncio.run(upload_all())
    return len(files)


def publish(cloud: LocalCloud, name: str) -> str:
    """Publish the cache at `caches/<name>` as an image service and return its address."""
    bucket = cloud.outputs["TileBucketName"]
    exporttiles(cloud, "publish", name, f"s3://{bucket}/caches/{name}")
    return f"{cloud.services_url}/{name}/ImageServer"


def upload_and_publish(cloud: LocalCloud, folder: Path) -> str:
    """Upload a cache and publish it under the name of its folder; return the address of the service."""
    with progress_bar(f"uploading {folder.name}") as bar:
        upload_folder(cloud, folder, f"caches/{folder.name}", bar)
    return publish(cloud, folder.name)


def exporttiles(cloud: LocalCloud, *arguments: str) -> None:
    """Run the command `exporttiles` against a local cloud.

    Raises:
        SystemExit: it failed; its message is on the terminal.
    """
    command = Path(sys.executable).with_name("exporttiles")
    if subprocess.run([command, *arguments], env=os.environ | cloud.environment, check=False).returncode:
        raise SystemExit(f"exporttiles {' '.join(arguments)} failed")
