"""Two local clouds for the tests of Esri's client: one open to all, one that wants tokens.

Started with the project's own interpreter, because the client has an environment of its own. Prints one line of JSON
when both are up, and ends with its standard input.
"""

import json
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

from local.cloud import ROOT, LocalCloud
from local.services import publish, upload_folder
from local.world_cache import make_xyz_cache

WORLD = ROOT / ".cache" / "World_Imagery"
SMALL = ROOT / ".cache" / "World_Small"
SMALL_MAX_LEVEL = 4
SERVICE = "World_Imagery"
KEY_NAME = "field-office"


def main() -> None:
    """Serve until standard input ends."""
    make_xyz_cache(WORLD)
    make_xyz_cache(SMALL, max_level=SMALL_MAX_LEVEL)
    with ExitStack() as stack:
        open_cloud = _serve(stack, WORLD, {})
        secured_cloud = _serve(stack, SMALL, {"TokenSecurity": "on"})
        addresses = {
            "open": open_cloud.url,
            "secured": secured_cloud.url,
            "key_name": KEY_NAME,
            "token": _token(secured_cloud, KEY_NAME, SERVICE),
            "other_token": _token(secured_cloud, "elsewhere", "Elsewhere/*"),
        }
        sys.stdout.write(f"{json.dumps(addresses)}\n")
        sys.stdout.flush()
        sys.stdin.read()


def _serve(stack: ExitStack, cache: Path, parameters: dict[str, str]) -> LocalCloud:
    cloud = stack.enter_context(LocalCloud(parameters=parameters))
    upload_folder(cloud, cache, f"caches/{SERVICE}")
    sys.stdout.flush()
    publish(cloud, SERVICE)
    return cloud


def _token(cloud: LocalCloud, name: str, services: str) -> str:
    command = Path(sys.executable).with_name("exporttiles")
    bucket = cloud.outputs["TileBucketName"]
    created = subprocess.run(
        [command, "token", "create", name, "--services", services, "--max-tiles", "100", "--bucket", bucket],
        env=cloud.environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return created.stdout.strip()


if __name__ == "__main__":
    main()
