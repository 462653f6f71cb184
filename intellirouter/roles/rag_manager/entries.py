"""What a new document and its job are called, and the row that the catalogue takes."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from typing import Any


def new_job() -> str:
    """A job's id."""
    return f"job-{secrets.token_hex(12)}"


def document_row(
    collection: str, name: str, digest: str, size: int, attributes: Mapping[str, Any]
) -> dict[str, Any]:
    """A document as `catalog_jobs.add_job` takes it; the same name in the same collection is the same document."""
    return {
        "id": document_id(collection, name),
        "collection": collection,
        "name": name,
        "sha256": digest,
        "bytes": size,
        "attributes": dict(attributes),
    }


def document_id(collection: str, name: str) -> str:
    """The id of the collection's document of that name, there or not."""
    return hashlib.sha256(f"{collection}\0{name}".encode("utf-8", "surrogatepass")).hexdigest()[:32]
