"""The pages of a wiki's spaces as documents."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from intellirouter.bounds.aside import ASIDE
from intellirouter.config.schema.rag_sources import RagSource
from intellirouter.errors import AnswerTooLong, NotFound, PayloadTooLarge
from intellirouter.roles.rag_manager.sources.confluence.api import Confluence, Page
from intellirouter.roles.rag_manager.sources.confluence.storage import as_page
from intellirouter.roles.rag_manager.sources.source import Entry, Fetched, Known, Trouble, wanted
from intellirouter.transport.outgoing.door import OutgoingDoor

_ESCAPED = 2
"""How many times longer a page may be as JSON."""
_ROOM = 64 << 10
_ID = re.compile(r"[A-Za-z0-9_-]{1,100}")


@dataclass(slots=True)
class Wiki:
    """See `Source`. A page is `SPACE/ID.html`, and its mark is the number of its version. Patterns are matched with `SPACE/Title`."""

    section: RagSource
    door: OutgoingDoor
    _api: Confluence = field(init=False)

    def __post_init__(self) -> None:
        self._api = Confluence(self.section, self.door)

    async def listed(self, known: Known) -> AsyncIterator[Entry | Trouble]:  # noqa: ARG002  a mark is had for nothing
        """See `Source.listed`."""
        for key in dict.fromkeys(self.section.spaces):
            try:
                async for page in self._api.pages(key):
                    if _ID.fullmatch(page.id) is None or page.version is None:
                        yield Trouble(f"{key}/{page.title[:100]}", "has no id or no version")
                    elif page.status == "current" and wanted(self.section, f"{key}/{page.title}"):
                        yield Entry(f"{key}/{page.id}.html", str(page.version.number))
            except NotFound as nothing:  # another space may be there
                yield Trouble(key, nothing.message)

    async def fetch(self, entry: Entry, most: int) -> Fetched | None:
        """See `Source.fetch`."""
        key, _, last = entry.name.rpartition("/")
        try:
            page = await self._api.page(last.removesuffix(".html"), _ESCAPED * most + _ROOM)
        except AnswerTooLong as more:
            raise PayloadTooLarge(
                f"has more than {most} bytes, which are all that is taken (rag.max_document_bytes)."
            ) from more
        if page is None or page.status != "current":
            return None
        body = page.body.storage.value if page.body is not None and page.body.storage is not None else ""
        text = await ASIDE.run(f"source {self.section.name}", lambda: as_page(page.title, body))
        return Fetched(
            text.encode("utf-8", "replace"), {"space": key, **self._address(page), "charset": "utf-8"}
        )

    async def aclose(self) -> None:
        """The door is the node's."""

    def _address(self, page: Page) -> dict[str, str]:
        """Where people see it, within the wiki."""
        path = page.links.webui if page.links is not None else None
        if not path or not path.startswith("/") or not path.isprintable():
            return {}
        return {"url": f"{(self.section.url or '').rstrip('/')}{path}"[:500]}
