"""The messages of a mailbox's folders as documents, the newest first."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from email import policy
from email.errors import MessageError
from email.header import decode_header, make_header
from email.parser import BytesHeaderParser
from fnmatch import fnmatchcase
from functools import partial
from typing import Any, TypeVar

from intellirouter.config.schema.rag_sources import RagSource
from intellirouter.errors import IntelliRouterError, PayloadTooLarge, StateUnavailable
from intellirouter.roles.rag_manager.sources.imap.session import Folder, Opened, Session
from intellirouter.roles.rag_manager.sources.source import Entry, Fetched, Known, Trouble, wanted

_PAGE = 2_000
"""Messages that are asked for together."""
_HEADERS = 64 << 10
_MOST_ATTRIBUTE = 500
T = TypeVar("T")


@dataclass(slots=True)
class Mailbox:
    """See `Source`. A message is `FOLDER/UID.eml`; its mark says which numbering of the folder its UID belongs to, since a message never changes."""

    section: RagSource
    _session: Session | None = None
    _thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "imap"))
    _folders: dict[str, Folder] = field(default_factory=dict)
    _open: tuple[str, Opened] | None = None

    async def listed(self, known: Known) -> AsyncIterator[Entry | Trouble]:
        """See `Source.listed`."""
        folders = await self._asked(lambda session: session.folders())
        self._folders = {folder.name: folder for folder in folders}
        for pattern in self.section.folders:
            if not any(_matches(name, pattern) for name in self._folders):
                yield Trouble(pattern, "is no folder of this mailbox")
        for folder in folders:
            if not self._looked_into(folder):
                continue
            try:
                async for entry in self._within(folder, known):
                    yield entry
            except IntelliRouterError as error:
                if self._session is None or self._session.over:
                    raise
                yield Trouble(folder.name, error.message)

    async def fetch(self, entry: Entry, most: int) -> Fetched | None:
        """See `Source.fetch`."""
        if entry.size is not None and entry.size > most:
            raise PayloadTooLarge(
                f"has {entry.size} bytes; at most {most} are taken (rag.max_document_bytes)."
            )
        name, _, last = entry.name.rpartition("/")
        opened = await self._opened(self._folders[name])
        if not entry.mark.startswith(f"{opened.validity}."):  # it is not gone: what is there stays until then
            raise StateUnavailable("Its folder was numbered anew meanwhile: the next look reads it.")
        uid = int(last.removesuffix(".eml"))
        data = await self._asked(lambda session: session.message(uid, most))
        if data is None:
            return None
        return Fetched(data, {"folder": name[:_MOST_ATTRIBUTE], **await asyncio.to_thread(_headers, data)})

    async def aclose(self) -> None:
        """Log out, and let go of the thread."""
        session, self._session = self._session, None
        if session is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(5):
                    await asyncio.get_running_loop().run_in_executor(self._thread, session.end)
            session.cut()
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _within(self, folder: Folder, known: Known) -> AsyncIterator[Entry]:
        """The messages of one folder, a page after the other from its end; sizes are asked for where a message is new."""
        opened = await self._opened(folder)
        since = None
        if self.section.since_days is not None:
            since = (datetime.now(UTC) - timedelta(days=self.section.since_days)).date()
        for last in range(opened.count, 0, -_PAGE):
            await self._opened(folder)
            first = max(1, last - _PAGE + 1)
            uids = await self._asked(partial(_searched, first=first, last=last, since=since))
            entries = [
                (uid, Entry(f"{folder.name}/{uid}.eml", f"{opened.validity}.{uid}"))
                for uid in sorted(set(uids), reverse=True)
            ]
            entries = [(uid, entry) for uid, entry in entries if wanted(self.section, entry.name)]
            fresh = [
                uid
                for uid, entry in entries
                if (seen := known(entry.name)) is None or seen.mark != entry.mark
            ]
            sizes = await self._asked(partial(_sized, uids=fresh)) if fresh else {}
            for uid, entry in entries:
                yield Entry(entry.name, entry.mark, size=sizes.get(uid))

    def _looked_into(self, folder: Folder) -> bool:
        """What is thrown away, junk or a draft only where it is named."""
        if folder.special and folder.name not in self.section.folders:
            return False
        return any(_matches(folder.name, pattern) for pattern in self.section.folders)

    async def _opened(self, folder: Folder) -> Opened:
        if self._open is None or self._open[0] != folder.name or self._session is None or self._session.over:
            self._open = (folder.name, await self._asked(lambda session: session.open(folder)))
        return self._open[1]

    async def _asked(self, what: Callable[[Session], T]) -> T:
        """One thing asked of the server, in the mailbox's thread. Whoever gives up waiting ends the session; the next one begins anew."""
        loop = asyncio.get_running_loop()
        if self._session is None or self._session.over:
            self._open = None
            self._session = await self._waited(loop.run_in_executor(self._thread, Session, self.section))
        session = self._session
        try:
            return await self._waited(loop.run_in_executor(self._thread, what, session))
        except asyncio.CancelledError:
            session.cut()
            raise

    async def _waited(self, asked: asyncio.Future[T]) -> T:
        try:
            return await asyncio.shield(asked)
        except asyncio.CancelledError:
            asked.add_done_callback(_forgotten)
            raise


def _forgotten(asked: asyncio.Future[Any]) -> None:
    """What nobody waits for any more: a session that is opened still is ended."""
    if not asked.cancelled() and asked.exception() is None and isinstance(session := asked.result(), Session):
        session.cut()


def _searched(session: Session, first: int, last: int, since: date | None) -> list[int]:
    return session.search(first, last, since)


def _sized(session: Session, uids: list[int]) -> dict[int, int]:
    return session.sizes(uids)


def _matches(name: str, pattern: str) -> bool:
    """INBOX is the same however it is written, and brackets are what they are, as in [Gmail]/All Mail."""
    if pattern.upper() == "INBOX":
        return name.upper() == "INBOX"
    return fnmatchcase(name, pattern.replace("[", "[[]"))


def _headers(data: bytes) -> dict[str, str]:
    """What a message says of itself, for filters."""
    told = BytesHeaderParser(policy=policy.compat32).parsebytes(data[:_HEADERS])
    found = {}
    for name in ("From", "To", "Date", "Message-ID"):
        raw = " ".join(str(told.get(name, ""))[:_MOST_ATTRIBUTE].split())
        try:
            value = str(make_header(decode_header(raw)))
        except (MessageError, LookupError, ValueError):  # a charset that nobody knows, or none of its text
            value = raw
        if value and value.isprintable():
            found[name.lower().replace("-", "_")] = value
    return found
