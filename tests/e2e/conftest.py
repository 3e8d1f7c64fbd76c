"""One stack for all whole exports, with published caches: on the emulator, or the one that `make prove` hands over."""

import os

import pytest

from deployment.client import Client
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
    "test_map_page": "It needs no stack.",
    "test_openapi": "It sends hundreds of strange requests, without a token.",
    "test_pages": "It opens the pages without a token.",
    "test_packing_by_parts": "It needs a stack of its own, whose packer is short of time.",
    "test_reuse": "It needs a stack of its own, with ReuseHours.",
    "test_roles": "It lets the emulator enforce roles, which AWS does in all tests.",
    "test_sign_in_page": "It needs a stack of its own, with tokens, on which a person signs in.",
    "test_small_exports": "It compares a stack that makes small exports at once with one that does not.",
    "test_watchman": "It changes the age of jobs in the table by hand.",
}
"""Modules that are not run against a stack that is handed over, and why."""

WORLD = ROOT / ".cache" / "World_Imagery"


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
