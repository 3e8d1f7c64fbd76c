"""openapi.json describes all routes.

Set UPDATE_GOLDEN=1 to write docs/openapi.json anew.
"""

import json
import os
import re
from pathlib import Path

import pytest

from exporttiles.domain.errors import RequestError
from exporttiles.rest.errors import InvalidUrlError
from exporttiles.rest.http import Request
from exporttiles.rest.routes import ROUTES, find_route, respond
from tests.builders_rest import a_rest_runtime
from tests.openapi import openapi_document

PUBLISHED = Path("docs/openapi.json")
RUNTIME = a_rest_runtime()
EXAMPLES = {
    "service": "World_Imagery",
    "service_type": "MapServer",
    "name": "out_service_url",
    "job_id": "j0",
    "folder": "Survey",
    "file": "a.tpkx",
}


def test_the_published_description_is_up_to_date():
    text = json.dumps(openapi_document(), indent=2) + "\n"

    if os.environ.get("UPDATE_GOLDEN"):
        PUBLISHED.parent.mkdir(exist_ok=True)
        PUBLISHED.write_text(text, encoding="utf-8")
    assert text == PUBLISHED.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", openapi_document()["paths"])
def test_every_path_described_leads_to_a_resource(path):
    url = re.sub(r"{(\w+)}", lambda part: EXAMPLES.get(part[1], "1"), path.replace("inputs/{name}", "inputs/levels"))
    try:
        respond(find_route(Request("GET", url, "f=json&levels=0", {"host": "a.org"})), RUNTIME)
    except InvalidUrlError:
        pytest.fail("nothing is at this address")
    except RequestError:
        pass  # it was found, and has no such job


def test_every_operation_has_a_unique_id():
    items = openapi_document()["paths"].values()
    names = [item[method]["operationId"] for item in items for method in ("get", "post")]

    assert len(names) == len(set(names))
    assert len(items) >= len(ROUTES)
