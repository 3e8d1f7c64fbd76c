"""Updates during exports: each step reads documents written by earlier versions.

The documents in tests/golden/messages were written when their format was new. A test that fails here means that running
exports would fail with the update: read the older form as well, or say so in CHANGELOG.md (docs/deploy.md, Update).
Until the first release nobody has older documents: replace the example.
"""

import json

import pytest

from exporttiles.adapters.dynamodb_items import job_item, job_of_item
from exporttiles.messages.batch import BatchItem
from exporttiles.messages.export import Export
from exporttiles.messages.fragment_report import FragmentReport
from exporttiles.messages.package_upload import PackageUpload
from exporttiles.messages.packed_package import PackedPackage
from exporttiles.messages.plan import WorkItem
from tests.workflow.stack import ROOT

MESSAGES = ROOT / "tests" / "golden" / "messages"


def in_bytes(message):
    return lambda document: json.loads(message.from_json(json.dumps(document).encode()).to_json())


AGAIN = {
    "batch_item": lambda document: BatchItem.from_json(document).to_json(),
    "export": in_bytes(Export),
    "fragment_report": in_bytes(FragmentReport),
    "job": lambda document: job_item(job_of_item(document)),
    "package_upload": in_bytes(PackageUpload),
    "packed_package": lambda document: PackedPackage.from_json(document).to_json(),
    "work_item": lambda document: WorkItem.from_json(document).to_json(),
}


@pytest.mark.parametrize("path", sorted(MESSAGES.glob("*.json")), ids=lambda path: path.stem)
def test_a_document_of_an_earlier_version_is_read_and_nothing_of_it_is_lost(path):
    document = json.loads(path.read_text())

    again = json.loads(json.dumps(AGAIN[path.stem.partition(".")[0]](document), default=float))

    assert {name: again.get(name) for name in document} == document


def test_every_document_between_steps_has_an_example():
    assert {path.stem.partition(".")[0] for path in MESSAGES.glob("*.json")} == AGAIN.keys()
