"""A folder of a WebDAV server, as Nextcloud, ownCloud and many others have it. Source: RFC 4918.

Folder by folder (`Depth: 1`): servers need not answer for a whole tree. Every request goes through the outgoing door, to the server that the
operator named; where it says that something lies elsewhere, that is left out.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET  # what defines entities is refused before
from base64 import b64encode
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from urllib.parse import unquote

from yarl import URL

from intellirouter.bounds.aside import ASIDE
from intellirouter.config.schema.rag_sources import RagSource
from intellirouter.errors import IntelliRouterError, PayloadTooLarge, StateUnavailable, UpstreamProtocolError
from intellirouter.roles.rag_manager.sources.folder import MOST_DEPTH, UNFINISHED
from intellirouter.roles.rag_manager.sources.source import Entry, Fetched, Known, Trouble, excluded, wanted
from intellirouter.transport.outgoing.door import Answered, Ask, OutgoingDoor

SECONDS = 60.0
_ASKED = (
    b'<?xml version="1.0"?><d:propfind xmlns:d="DAV:"><d:prop><d:resourcetype/><d:getetag/><d:getcontentlength/>'
    b"<d:getlastmodified/></d:prop></d:propfind>"
)
_MULTISTATUS = 207
_GONE = frozenset({404, 410})


@dataclass(frozen=True, slots=True)
class _Resource:
    """What a server tells of one address. `path` is unescaped."""

    path: str
    is_folder: bool
    mark: str
    size: int | None


@dataclass(slots=True)
class Share:
    """See `Source`. The mark of a file is its ETag, or its size and time where the server has none."""

    section: RagSource
    door: OutgoingDoor

    async def listed(self, known: Known) -> AsyncIterator[Entry | Trouble]:  # noqa: ARG002  a mark is had for nothing
        """See `Source.listed`."""
        waiting, met = deque([""]), {""}
        while waiting:
            below = waiting.popleft()
            try:
                found = await self._children(below)
            except IntelliRouterError as error:
                if not below:
                    raise
                yield Trouble(below, error.message)
                continue
            for name, one in found:
                last = name.rpartition("/")[2]
                if last.startswith(".") or last.endswith(UNFINISHED) or excluded(self.section, name):
                    continue
                if not one.is_folder:
                    if wanted(self.section, name):
                        yield Entry(name, one.mark, size=one.size)
                elif name.count("/") >= MOST_DEPTH:
                    yield Trouble(name, f"is more than {MOST_DEPTH} folders deep")
                elif name not in met:
                    met.add(name)
                    waiting.append(name)

    async def fetch(self, entry: Entry, most: int) -> Fetched | None:
        """See `Source.fetch`."""
        if entry.size is not None and entry.size > most:
            raise PayloadTooLarge(
                f"has {entry.size} bytes; at most {most} are taken (rag.max_document_bytes)."
            )
        url = self._url(entry.name)
        answer = await self._send(
            Ask(str(url), headers=self._headers(), seconds=SECONDS, max_bytes=most, trusted=True)
        )
        if answer.status in _GONE:
            return None
        if answer.status != 200:
            raise StateUnavailable(f"was answered with {answer.status}.")
        return Fetched(answer.body, {"url": str(url)[:500]})

    async def aclose(self) -> None:
        """The door is the node's."""

    async def _children(self, below: str) -> list[tuple[str, _Resource]]:
        """What lies right in a folder, by its path from the source's own."""
        url = self._url(below, folder=True)
        headers = {**self._headers(), "depth": "1", "content-type": "application/xml"}
        answer = await self._send(Ask(str(url), "PROPFIND", headers, _ASKED, SECONDS, trusted=True))
        if answer.status != _MULTISTATUS:
            said = " (are user and password right?)" if answer.status in (401, 403) else ""
            raise StateUnavailable(f"{url.host}{url.path} was answered with {answer.status}{said}.")
        told = await ASIDE.run(f"source {self.section.name}", lambda: read(answer.body))
        root, here = URL(self.section.url or "").path.rstrip("/") + "/", url.path
        found = []
        for one in told:
            path = one.path.rstrip("/")
            if path.startswith(here) and path != here.rstrip("/") and "/" not in path[len(here) :]:
                found.append((path.removeprefix(root), one))
        return found

    async def _send(self, ask: Ask) -> Answered:
        return await self.door.send(ask)

    def _url(self, name: str, *, folder: bool = False) -> URL:
        base = URL(self.section.url or "")
        path = f"{base.path.rstrip('/')}/{name}"
        return base.with_path(f"{path.rstrip('/')}/" if folder else path)

    def _headers(self) -> dict[str, str]:
        if self.section.password is None:
            return {}
        told = f"{self.section.user or ''}:{self.section.password.get_secret_value()}".encode()
        return {"authorization": f"Basic {b64encode(told).decode()}"}


def read(data: bytes) -> list[_Resource]:
    """The resources of a `multistatus` answer. Raises `UpstreamProtocolError`."""
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        raise UpstreamProtocolError(
            "The server's answer defines entities of its own, which WebDAV does not know."
        )
    try:
        root = ET.fromstring(data)  # noqa: S314  see the import
    except ET.ParseError as cause:
        raise UpstreamProtocolError("The server's answer is no XML.") from cause
    return [_resource(node) for node in root.iter("{DAV:}response") if node.findtext("{DAV:}href")]


def _resource(node: ET.Element) -> _Resource:
    path = unquote(URL(node.findtext("{DAV:}href", "").strip(), encoded=True).raw_path)
    found = next(
        (
            prop
            for stat in node.iter("{DAV:}propstat")
            if " 200" in stat.findtext("{DAV:}status", " 200")
            and (prop := stat.find("{DAV:}prop")) is not None
        ),
        None,
    )
    if found is None:
        return _Resource(path, is_folder=False, mark="", size=None)
    length = found.findtext("{DAV:}getcontentlength", "").strip()
    size = int(length) if length.isascii() and length.isdecimal() and len(length) < 16 else None
    etag, modified = (
        found.findtext("{DAV:}getetag", "").strip(),
        found.findtext("{DAV:}getlastmodified", "").strip(),
    )
    is_folder = found.find("{DAV:}resourcetype/{DAV:}collection") is not None
    return _Resource(path, is_folder, etag[:300] or f"{modified[:100]}:{length[:20]}", size)
