"""Scripts and style sheets of the pages."""

import base64
import gzip
import hashlib
import re
from pathlib import Path

import pytest

from exporttiles.rest.assets import FOLDER
from tests.functions.api_client import SERVICE

WEB = Path("web")
MAX_BYTES = 400_000
"""Limit of everything that a browser may load for the pages, compressed."""


def named_in(page):
    return re.findall(r'(?:src|href)="(/arcgis/rest/static/[^"]+)"', page)


def test_every_asset_that_a_page_names_is_served_compressed_and_kept_for_a_year(done):
    named = named_in(done.get(SERVICE, "f=html")["body"])

    assert len(named) == 3
    for path in named:
        response = done.get(path, "", headers={"accept-encoding": "gzip, br"})
        headers = response["headers"]
        assert (response["statusCode"], headers["content-encoding"]) == (200, "gzip")
        assert headers["cache-control"] == "public, max-age=31536000, immutable"
        body = gzip.decompress(base64.b64decode(response["body"])).decode()
        assert done.get(path, "", headers={"accept-encoding": ""})["body"] == body


@pytest.mark.parametrize("refusal", ["gzip;q=0", "br, gzip; q=0.0", "identity", "x-gzipped"])
def test_assets_are_not_compressed_for_clients_that_refuse_it(client, refusal):
    response = client.get("/arcgis/rest/static/LICENSES.txt", "", headers={"accept-encoding": refusal})

    assert "content-encoding" not in response["headers"]


@pytest.mark.parametrize("name", ["page.js", "..%2Fpages.py", "SOURCES.sha256", "pages.py", "page-%00.js"])
def test_nothing_else_is_served_beside_them(client, name):
    assert client.get(f"/arcgis/rest/static/{name}", "")["statusCode"] == 404


def test_the_licences_of_what_is_bundled_are_served(client):
    assert "ol 10" in client.get("/arcgis/rest/static/LICENSES.txt", "")["body"]


def test_scripts_and_styles_are_small():
    assert sum(len(gzip.compress(path.read_bytes())) for path in FOLDER.glob("*.[jc]s*")) < MAX_BYTES


def test_the_built_files_are_those_of_the_sources():
    """Fails if `make web` was forgotten after a change; `.ci/run` compares the built files themselves."""
    lines = (FOLDER / "SOURCES.sha256").read_text(encoding="utf-8").splitlines()
    built = {name: digest for digest, name in (line.split("  ") for line in lines)}
    settings = ("build.mjs", "package-lock.json", "package.json", "tsconfig.json")
    sources = [*(WEB / name for name in settings), *(path for path in (WEB / "src").rglob("*") if path.is_file())]

    found = {path.relative_to(WEB).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in sources}

    assert found == built
