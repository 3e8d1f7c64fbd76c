"""Parse the JSON documents that the steps of a job store."""

import json
from typing import Any

from exporttiles.domain.errors import SourceError


def read_document(body: bytes) -> Any:
    """Parse a JSON document of a job.

    Raises:
        SourceError: it is not JSON; a retry may help.
    """
    try:
        return json.loads(body)
    except ValueError as error:
        raise SourceError("A stored document of the job is damaged: it is not JSON.") from error
