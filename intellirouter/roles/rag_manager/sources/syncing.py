"""One look at one source: what is new or changed is fetched and handed to ingestion, and what is gone is removed."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import msgspec

from intellirouter.config.schema.rag_sources import RagSource
from intellirouter.errors import IntelliRouterError, KeepsTooMuch, NotFound
from intellirouter.memory.embedded.engine import Engine
from intellirouter.roles.rag_manager.sources import seen
from intellirouter.roles.rag_manager.sources.source import Entry, Seen, Source, Trouble, suspicious

AHEAD = 16
"""Documents handed in before the first of them is ready: a source floods nobody's queue."""
NOTED_TOGETHER = 500
MOST_TROUBLES = 100
JOB_SECONDS = 600.0
"""A document that is not ready by then goes on by itself."""
LIST_SECONDS, FETCH_SECONDS = 600.0, 300.0
"""Between two documents of a listing, and for the bytes of one."""


class Shelf(Protocol):
    """Where documents go: what is used of a `RagService`."""

    max_document_bytes: int
    engine: Engine

    async def submit(
        self, tenant: str, name: str, document: str, data: bytes, attributes: Mapping[str, Any] | None = None
    ) -> str:
        """Keep and queue a document; the job's id."""

    async def ended(self, tenant: str, job: str) -> dict[str, Any]:
        """The job, once it is over."""

    async def drop_document(self, tenant: str, name: str, document: str) -> None:
        """Remove it."""

    def document_id(self, collection: str, document: str) -> str:
        """The id that a document of this name has in the collection of that id."""


@dataclass(slots=True)
class Look:
    """`collection` is the id of the section's. `anew`: fetch what is unchanged as well; `sweep`: remove however much is gone."""

    section: RagSource
    source: Source
    shelf: Shelf
    collection: str
    anew: bool = False
    sweep: bool = False
    counts: Counter[str] = field(default_factory=Counter)
    troubles: list[tuple[str, str]] = field(default_factory=list)
    _number: int = 0
    _same: list[str] = field(default_factory=list)
    _under_way: deque[str] = field(default_factory=deque)

    async def run(self) -> str | None:
        """The reason why nothing was removed though something may be gone, or None. Raises what the source raises when it is away."""
        section, engine = self.section, self.shelf.engine
        await engine.write(
            partial(seen.forget_other_collections, source=section.name, collection=self.collection)
        )
        self._number = 1 + await engine.read(partial(seen.last_look, source=section.name))
        before = await engine.read(partial(seen.known, source=section.name, collection=self.collection))
        known: Mapping[str, Seen] = {} if self.anew else before
        whole = await self._listed(known)
        await self._note_same()
        while self._under_way:
            await self._settle()
        return await self._removed(whole)

    async def _listed(self, known: Mapping[str, Seen]) -> bool:
        """Go through what there is. False when it did not end, or not everything could be listed."""
        names: set[str] = set()

        def of(name: str) -> Seen | None:
            return known.get(self._id(name))

        entries = aiter(self.source.listed(of))
        while True:
            async with asyncio.timeout(LIST_SECONDS):
                one = await anext(entries, None)
            if one is None:
                return not self.troubles
            if isinstance(one, Trouble):
                self.counts["failed"] += 1
                if len(self.troubles) < MOST_TROUBLES:
                    self.troubles.append((one.name, one.reason))
                continue
            if one.name in names:
                continue
            if len(names) >= self.section.max_documents:
                self.troubles.append(
                    (one.name, f"and whatever follows is left out: max_documents is {len(names)}")
                )
                return False
            names.add(one.name)
            self.counts["listed"] += 1
            await self._take(one, of(one.name))

    async def _take(self, entry: Entry, before: Seen | None) -> None:
        """Fetch it if it is not what it was."""
        id_ = self._id(entry.name)
        if before is not None and before.mark == entry.mark:
            self.counts["unchanged"] += 1
            self._same.append(id_)
            if len(self._same) >= NOTED_TOGETHER:
                await self._note_same()
            return
        section, shelf = self.section, self.shelf
        note = partial(
            seen.note, source=section.name, collection=self.collection, id_=id_, name=self._name(entry.name)
        )
        try:
            async with asyncio.timeout(FETCH_SECONDS):
                fetched = entry.fetched or await self.source.fetch(entry, shelf.max_document_bytes)
            if fetched is None:
                self.counts["listed"] -= 1
                return
            attributes = {"source": section.name, **fetched.attributes}
            job = await shelf.submit(
                section.tenant, section.collection, self._name(entry.name), fetched.data, attributes
            )
        except KeepsTooMuch:  # as will be said of every other
            raise
        except (IntelliRouterError, OSError, TimeoutError) as refused:
            self.counts["failed"] += 1
            await shelf.engine.write(partial(note, look=self._number, error=reason_of(refused)))
            return
        await shelf.engine.write(partial(note, look=self._number, seen=Seen(entry.mark, entry.note)))
        self._under_way.append(job)
        if len(self._under_way) >= AHEAD:
            await self._settle()

    async def _settle(self) -> None:
        """Wait for the document that was handed in first."""
        job = self._under_way.popleft()
        try:
            async with asyncio.timeout(JOB_SECONDS):
                status = (await self.shelf.ended(self.section.tenant, job))["status"]
        except TimeoutError:
            status = "queued"
        except NotFound:  # somebody removed the document meanwhile
            return
        self.counts["ready" if status == "ready" else "failed" if status == "failed" else "queued"] += 1

    async def _note_same(self) -> None:
        ids, self._same = self._same, []
        if ids:
            await self.shelf.engine.write(partial(seen.still_there, ids=ids, look=self._number))

    async def _removed(self, whole: bool) -> str | None:
        """Remove what is gone, unless that is suspiciously much."""
        section, engine = self.section, self.shelf.engine
        where = (section.name, self.collection, self._number)
        known, missing = await engine.read(lambda db: seen.count(db, *where))
        if not missing or not section.remove:
            return None
        why = None
        if not whole:
            why = "not everything could be listed"
        elif not self.sweep:
            why = suspicious(self.counts["listed"], missing, known, section.remove_at_most)
        if why is not None:
            self.counts["held"] = missing
            if not whole:
                return f"Nothing was removed: {why}."
            return f"Nothing was removed: {why}. `intellirouter rag sources sync {section.name} --remove` does it."
        while rows := await engine.read(lambda db: seen.gone(db, *where, NOTED_TOGETHER)):
            for id_, name in rows:
                try:
                    await self.shelf.drop_document(section.tenant, section.collection, name)
                except NotFound:
                    pass
                else:
                    self.counts["removed"] += 1
                await engine.write(partial(seen.drop, id_=id_))
        return None

    def _name(self, name: str) -> str:
        return f"{self.section.name}/{name}"

    def _id(self, name: str) -> str:
        return self.shelf.document_id(self.collection, self._name(name))

    def troubles_told(self) -> str:
        """What could not be listed, as JSON."""
        return msgspec.json.encode(
            [{"name": name, "error": reason} for name, reason in self.troubles]
        ).decode()


def reason_of(error: BaseException) -> str:
    """What went wrong, in words that are safe to show."""
    if isinstance(error, IntelliRouterError):
        return error.message
    if isinstance(error, TimeoutError) and not error.args:
        return "did not answer in time"
    if isinstance(error, OSError):
        return error.strerror or "could not be reached or read"
    return "failed in a way that the node's log has"
