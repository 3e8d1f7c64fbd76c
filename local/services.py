"""Caches and image services of a stack."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import obstore
from obstore.store import S3Store

from exporttiles.cli.progress import progress_bar

DEFAULT_STACK = "exporttiles"
"""Default of the option --stack."""

UPLOADS_AT_A_TIME = 16


class Cloud(Protocol):
    """A deployed stack: on this machine, or any other."""

    @property
    def stack_name(self) -> str:
        """Return the name of the stack."""

    @property
    def outputs(self) -> dict[str, str]:
        """Return the outputs of the stack."""

    @property
    def services_url(self) -> str:
        """Return the address of the services directory."""

    @property
    def environment(self) -> dict[str, str]:
        """Return the environment variables that send a process which uses AWS to this stack."""

    @property
    def store_options(self) -> dict[str, Any]:
        """Return the options of obstore for S3."""


def store_of(cloud: Cloud) -> S3Store:
    """Return the tile bucket of a stack."""
    return S3Store(cloud.outputs["TileBucketName"], **cloud.store_options)


def upload_folder(
    cloud: Cloud, folder: Path, prefix: str, progress: Callable[[int, int], None] = lambda _done, _total: None
) -> int:
    """Upload the files below a folder to the tile bucket, under a prefix. Return their number."""
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


def publish(cloud: Cloud, name: str, *options: str) -> str:
    """Publish the cache at `caches/<name>` as an image service and return its address.

    Args:
        cloud: the stack.
        name: of the cache and of the service.
        options: of `exporttiles publish`.
    """
    bucket = cloud.outputs["TileBucketName"]
    exporttiles(cloud, "publish", name, f"s3://{bucket}/caches/{name}", *options)
    return f"{cloud.services_url}/{name}/ImageServer"


def upload_and_publish(cloud: Cloud, folder: Path, *options: str) -> str:
    """Upload a cache and publish it under the name of its folder, with options. Return the address of the service."""
    with progress_bar(f"Uploading {folder.name}") as bar:
        upload_folder(cloud, folder, f"caches/{folder.name}", bar)
    return publish(cloud, folder.name, *options)


def exporttiles(cloud: Cloud, *arguments: str) -> None:
    """Run the command `exporttiles` against a stack.

    Raises:
        SystemExit: it failed, and has printed why.
    """
    command = Path(sys.executable).with_name("exporttiles")
    named = [] if cloud.stack_name == DEFAULT_STACK else ["--stack", cloud.stack_name]
    if subprocess.run([command, *arguments, *named], env=os.environ | cloud.environment, check=False).returncode:
        raise SystemExit(f"exporttiles {' '.join(arguments)} failed")
