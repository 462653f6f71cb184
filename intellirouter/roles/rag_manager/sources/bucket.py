"""Objects of a bucket of any S3 service. Asked by a client of its own: the service is the one that the operator named."""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from intellirouter.config.schema.rag_sources import RagSource
from intellirouter.errors import PayloadTooLarge
from intellirouter.roles.rag_manager.sources.source import Entry, Fetched, Known, Trouble, wanted
from intellirouter.transport import bucket

RETRIES, RETRY_SECONDS = 3, 60.0


@dataclass(slots=True)
class Bucket:
    """See `Source`. The mark of an object is its ETag."""

    section: RagSource
    _store: Any = None

    async def listed(self, known: Known) -> AsyncIterator[Entry | Trouble]:  # noqa: ARG002  a mark is had for nothing
        """See `Source.listed`."""
        section = self.section
        said = {
            "endpoint": section.endpoint,
            "region": section.region,
            "access_key_id": section.access_key.get_secret_value() if section.access_key else None,
            "secret_access_key": section.secret_key.get_secret_value() if section.secret_key else None,
        }
        self._store = bucket.opened(
            self._address,
            section.bucket or "",
            section.prefix,
            allow_http=(section.endpoint or "").startswith("http://"),
            retries=RETRIES,
            retry_seconds=RETRY_SECONDS,
            **{name: value for name, value in said.items() if value is not None},
        )
        with bucket.errors(self._address):
            pages = importlib.import_module("obstore").list(self._store)
            async for page in pages:
                for one in page:
                    if wanted(section, one["path"]) and not one["path"].endswith("/"):
                        mark = one["e_tag"] or f"{one['last_modified'].isoformat()}:{one['size']}"
                        yield Entry(one["path"], mark, size=one["size"])

    async def fetch(self, entry: Entry, most: int) -> Fetched | None:
        """See `Source.fetch`."""
        if entry.size is not None and entry.size > most:
            raise PayloadTooLarge(
                f"has {entry.size} bytes; at most {most} are taken (rag.max_document_bytes)."
            )
        try:
            with bucket.errors(self._address):
                answer = await importlib.import_module("obstore").get_async(self._store, entry.name)
                if answer.meta["size"] > most:
                    raise PayloadTooLarge(
                        f"has more than {most} bytes, which are all that is taken (rag.max_document_bytes)."
                    )
                data = bytes(await answer.bytes_async())
        except FileNotFoundError:
            return None
        return Fetched(data, {"url": f"{self._address}/{entry.name}"[:500]})

    async def aclose(self) -> None:
        """Its connections go with it."""
        self._store = None

    @property
    def _address(self) -> str:
        return f"s3://{self.section.bucket}/{self.section.prefix}".rstrip("/")
