"""One stack for all whole exports, with published caches: on the emulator, or the one that `make prove` hands over."""

import json
import os
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest

from deployment.stack import Stack
from exporttiles.adapters.object_stores import ObstoreObjects
from local.cloud import ROOT, LocalCloud
from local.compact_cache import make_compact_cache
from local.services import publish, store_of, upload_folder
from local.world_cache import make_xyz_cache

STACK, TOKEN = os.environ.get("EXPORTTILES_STACK"), os.environ.get("EXPORTTILES_TOKEN", "")
"""The stack to test, which requires tokens, and a token for all of its services."""

KEY = {"key": os.environ["EXPORTTILES_KEY"]} if TOKEN else {}
"""What requests without a person name instead of a token."""

EMULATOR_ONLY = {
    "test_event_options": "It needs a stack of its own, with NewImageryEvents and NotificationEmail.",
    "test_openapi": "It sends hundreds of strange requests, without a token.",
    "test_reuse": "It needs a stack of its own, with ReuseHours.",
    "test_roles": "It lets the emulator enforce roles, which AWS does in all tests.",
    "test_small_exports": "It compares a stack that makes small exports at once with one that does not.",
    "test_watchman": "It changes the age of jobs in the table by hand.",
}
"""Modules that are not run against a stack that is handed over, and why."""

WORLD = ROOT / ".cache" / "World_Imagery"
ENDS = {"esriJobSucceeded", "esriJobFailed", "esriJobCancelled", "esriJobTimedOut"}


@dataclass(frozen=True)
class Client:
    """Speaks to the services over HTTP, as a client of ArcGIS does."""

    cloud: LocalCloud | Stack
    token: str = ""

    @property
    def sent(self) -> dict[str, str]:
        """What goes with every request."""
        return {"f": "json"} | ({"token": self.token} if self.token else {})

    def get(self, path: str, **parameters: str) -> Any:
        """GET a resource below the services directory, or at an address."""
        url = path if path.startswith("http") else f"{self.cloud.services_url}/{path}"
        with urlopen(f"{url}?{urlencode(self.sent | parameters)}") as response:
            return json.load(response)

    def post(self, path: str, **parameters: str) -> Any:
        """POST a form to a resource below the services directory."""
        body = urlencode(self.sent | parameters).encode()
        with urlopen(Request(f"{self.cloud.services_url}/{path}", data=body)) as response:
            return json.load(response)

    def submit(self, service: str, **parameters: str) -> str:
        """Ask for an export and return the id of its job."""
        submitted = self.post(f"{service}/ImageServer/exportTiles", **{"tilePackage": "true"} | parameters)
        assert "jobId" in submitted, submitted
        return str(submitted["jobId"])

    def export(self, service: str, **parameters: str) -> dict[str, Any]:
        """Run an export to its end and return the job."""
        return self.wait(service, self.submit(service, **parameters))

    def wait(self, service: str, job_id: str) -> dict[str, Any]:
        """Poll a job until it has ended."""
        deadline = time.monotonic() + 180
        while True:
            job: dict[str, Any] = self.get(f"{service}/ImageServer/jobs/{job_id}")
            if job["jobStatus"] in ENDS:
                return job
            assert time.monotonic() < deadline, job
            time.sleep(0.2)

    def package(self, service: str, job: dict[str, Any]) -> bytes:
        """Download the package of a job that has succeeded."""
        assert job["jobStatus"] == "esriJobSucceeded", job
        job_url = f"{service}/ImageServer/exportTiles/jobs/{job['jobId']}"
        folder = self.get(f"{job_url}/{job['results']['out_service_url']['paramUrl']}")["value"]
        (file,) = self.get(folder)["files"]
        with self.open(file["url"]) as response:
            body: bytes = response.read()
        return body

    def open(self, url: str, method: str = "GET", **headers: str) -> Any:
        """Open the address of a file, as one downloads it."""
        query = f"?{urlencode({'token': self.token})}" if self.token else ""
        return urlopen(Request(f"{url}{query}", method=method, headers=headers))


def pytest_collection_modifyitems(items):
    """Leave out what only the emulator can do, if there is a stack to test; say why."""
    for item in items:
        if STACK and item.path.stem in EMULATOR_ONLY:
            item.add_marker(pytest.mark.skip(reason=EMULATOR_ONLY[item.path.stem]))


@pytest.fixture(scope="session")
def cloud():
    if STACK:
        yield Stack(STACK)
    else:
        with LocalCloud() as cloud:
            yield cloud


@pytest.fixture(scope="session")
def client(cloud):
    return Client(cloud, TOKEN)


@pytest.fixture(scope="session")
def tiles(cloud):
    """The tile bucket."""
    return ObstoreObjects(store_of(cloud))


@pytest.fixture(scope="session")
def world(cloud):
    """World_Imagery: 21,845 tiles of levels 0-7, one file each; the folder they came from."""
    make_xyz_cache(WORLD)
    upload_folder(cloud, WORLD, "caches/World_Imagery")
    publish(cloud, "World_Imagery")
    return WORLD


@pytest.fixture(scope="session")
def bundles(cloud, world, tmp_path_factory):
    """Bundles/World_Imagery: the same tiles as a Compact Cache V2."""
    folder = tmp_path_factory.mktemp("bundles")
    make_compact_cache(world, folder, max_level=7, quality=75)
    upload_folder(cloud, folder, "caches/Bundles/World_Imagery")
    publish(cloud, "Bundles/World_Imagery")
    return folder


@pytest.fixture(scope="session")
def small(cloud, world, tiles):
    """Small: levels 0-4 of the world; quick, and tests may publish holes in caches of their own."""
    for level in range(5):
        for path in (world / str(level)).rglob("*.jpg"):
            tiles.write(f"caches/Small/{path.relative_to(world).as_posix()}", path.read_bytes())
    publish(cloud, "Small")
    return "Small"
