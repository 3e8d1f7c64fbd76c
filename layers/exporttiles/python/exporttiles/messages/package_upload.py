"""The upload of a package, from one invocation of the packer to the next."""

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass

from exporttiles.messages.documents import read_document


@dataclass(frozen=True, slots=True)
class PackageUpload:
    """An upload that was begun, and what every invocation must write in the same way.

    Attributes:
        upload_id: of the store.
        documents: files of the package that are not bundles, by name. They are kept because the thumbnail is made
            from tiles of the cache, which may change.
    """

    upload_id: str
    documents: Mapping[str, bytes]

    def to_json(self) -> bytes:
        """Return the upload as a JSON document."""
        documents = {name: b64encode(body).decode() for name, body in self.documents.items()}
        return json.dumps({"upload_id": self.upload_id, "documents": documents}).encode()

    @classmethod
    def from_json(cls, body: bytes) -> "PackageUpload":
        """Return the upload of a JSON document.

        Raises:
            SourceError: it is not JSON; a retry may help.
        """
        document = read_document(body)
        return cls(document["upload_id"], {name: b64decode(text) for name, text in document["documents"].items()})
