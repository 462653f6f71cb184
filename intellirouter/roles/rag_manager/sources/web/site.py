"""A web site as a source. Every request goes through the outgoing door, one after the other, and none leaves the site.

A site whose address is given by number (or is this machine) may be asked because the operator wrote it down. One with a name is checked
like any address: whoever has the name says where it leads, and may change that. `[outgoing] allow` names those of one's own network.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import deque
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field

import msgspec
from yarl import URL

from intellirouter.bounds.aside import ASIDE
from intellirouter.config.schema.rag_sources import RagSource
from intellirouter.errors import IntelliRouterError, StateUnavailable, UpstreamError
from intellirouter.roles.rag_manager.parsing.charset import codec_of
from intellirouter.roles.rag_manager.sources.source import (
    Entry,
    Fetched,
    Known,
    Seen,
    Trouble,
    excluded,
    wanted,
)
from intellirouter.roles.rag_manager.sources.web import links, robots, sitemap
from intellirouter.roles.rag_manager.sources.web.sitemap import Sitemap
from intellirouter.transport.outgoing.door import Answered, Ask, OutgoingDoor
from intellirouter.transport.outgoing.places import literal

MOST_SITEMAPS = 500
MOST_VISITS = 5
"""Pages that are visited for each document that may be kept."""
MOST_WAITING = 100_000
MOST_KEPT_LINKS = 500
"""Of a page, remembered for the look that finds it unchanged."""
REDIRECTS = 5
SECONDS = 60.0
_MOVED = frozenset({301, 302, 303, 307, 308})
_GONE = frozenset({404, 410})
_PAGES = ("text/html", "application/xhtml+xml")
_UNREAD = ("image/", "video/", "audio/", "font/", "text/css", "application/javascript", "text/javascript")
"""Types of what pages are made of and is no document."""
_STYLES = (
    ".css",
    ".js",
    ".png",
    ".jpg",
    ".jpeg",
    ".gif",
    ".svg",
    ".ico",
    ".webp",
    ".woff",
    ".woff2",
    ".mp4",
    ".mp3",
    ".zip",
    ".gz",
)


class _Kept(msgspec.Struct, array_like=True):
    """What is remembered of a page: its validators, and where it leads."""

    etag: str = ""
    modified: str = ""
    links: list[str] = []
    index: bool = True


@dataclass(slots=True)
class _Got:
    """An answer, in the end of its redirects. `url` is None where they lead off the site."""

    answer: Answered
    url: URL | None


@dataclass(frozen=True, slots=True)
class _Visit:
    """A page as an entry, if it is to be kept, and where it leads; `moved`: it is the same page under another address."""

    one: Entry | Trouble | None
    found: list[URL] = field(default_factory=list)
    moved: bool = False


@dataclass(slots=True)
class Site:
    """See `Source`. A page's mark is its ETag or the hash of what it holds, a sitemap's entry may have the time it changed."""

    section: RagSource
    door: OutgoingDoor
    _robots: dict[str, robots.Robots] = field(default_factory=dict)
    _asked: float = 0.0

    async def listed(self, known: Known) -> AsyncIterator[Entry | Trouble]:
        """See `Source.listed`."""
        if self.section.sitemap is not None:
            async for one in self._in_sitemaps(URL(self.section.sitemap), known):
                yield one
        if self.section.url is not None:
            async for one in self._crawled(URL(self.section.url), known):
                yield one

    async def fetch(self, entry: Entry, most: int) -> Fetched | None:
        """See `Source.fetch`: a page that a sitemap lists."""
        url = URL(_scheme(entry.note) + entry.name, encoded=True)
        got = await self._get(url, most=most)
        if got.url is None or got.answer.status in _GONE:
            return None
        if got.answer.status >= 300:
            raise StateUnavailable(f"was answered with {got.answer.status}.")
        return _fetched(got.answer, url)

    async def aclose(self) -> None:
        """The door is the node's."""

    @property
    def _aside(self) -> str:
        """Whose turn it is in the threads that read what it answers."""
        return f"source {self.section.name}"

    async def _in_sitemaps(self, first: URL, known: Known) -> AsyncIterator[Entry | Trouble]:
        waiting, done = deque([first]), {first}
        while waiting:
            place = waiting.popleft()
            try:
                listed = await self._sitemap(place)
            except IntelliRouterError as error:
                if place == first:
                    raise
                yield Trouble(str(place)[:500], error.message)
                continue
            for address, changed in listed.entries:
                url = _address(place, address)
                if url is None or url.origin() != first.origin():
                    continue
                if listed.index:
                    if url not in done and len(done) < MOST_SITEMAPS:
                        done.add(url)
                        waiting.append(url)
                    continue
                async for one in self._of_sitemap(url, changed, known):
                    yield one

    async def _of_sitemap(self, url: URL, changed: str, known: Known) -> AsyncIterator[Entry | Trouble]:
        name = name_of(url)
        if not wanted(self.section, str(url)) or not (await self._rules(url)).allows(url.raw_path_qs):
            return
        if changed:
            yield Entry(name, f"lastmod:{changed}", note=_note(_Kept(), url))
            return
        for _ in range(2):
            visit = await self._visited(url, known)
            if visit is not None and visit.one is not None:
                yield visit.one
            if visit is None or not visit.moved:
                return
            url = visit.found[0]

    async def _sitemap(self, url: URL) -> Sitemap:
        got = await self._get(url)
        if got.url is None or got.answer.status >= 300:
            raise StateUnavailable(f"The sitemap {url.host}{url.path} was answered with {got.answer.status}.")
        return await ASIDE.run(self._aside, lambda: sitemap.read(got.answer.body))

    async def _crawled(self, first: URL, known: Known) -> AsyncIterator[Entry | Trouble]:
        """From page to page, the nearest first."""
        first = first.with_fragment(None)
        waiting: deque[tuple[URL, int]] = deque([(first, 0)])
        met = {first}
        visits = MOST_VISITS * self.section.max_documents
        while waiting:
            url, depth = waiting.popleft()
            if not (await self._rules(url)).allows(url.raw_path_qs):
                if url == first:
                    raise StateUnavailable(
                        f"The robots.txt of {url.host} does not let anybody read {url.path}."
                    )
                continue
            if visits <= 0:
                yield Trouble(
                    str(url)[:500],
                    "and what else waits was not visited: too many pages lead to too few documents",
                )
                return
            visits -= 1
            visit = await self._visited(url, known, first=url == first)
            if visit is None:
                continue
            if visit.one is not None:
                yield visit.one
            further = depth if visit.moved else depth + 1
            for there in visit.found if further <= self.section.depth else ():
                if there not in met and len(met) < MOST_WAITING and self._is_ours(there, first):
                    met.add(there)
                    waiting.append((there, further))

    def _is_ours(self, url: URL, first: URL) -> bool:
        return (
            url.origin() == first.origin()
            and not excluded(self.section, str(url))
            and not url.path.lower().endswith(_STYLES)
        )

    async def _visited(self, url: URL, known: Known, *, first: bool = False) -> _Visit | None:
        """Ask for a page; None where it is gone, or off the site. Of the `first` one that is an error."""
        name = name_of(url)
        before = known(name)
        kept = _kept(before)
        headers = {}
        if kept.etag:
            headers["if-none-match"] = kept.etag
        elif kept.modified:
            headers["if-modified-since"] = kept.modified
        try:
            got = await self._get(url, headers)
        except UpstreamError as error:
            if first:
                raise
            return _Visit(Trouble(name, error.message))
        answer = got.answer
        if first and (
            got.url is None or answer.status in _GONE or (answer.status >= 300 and answer.status != 304)
        ):
            raise StateUnavailable(_first_refused(url, got))
        if got.url is None or answer.status in _GONE:
            return None
        if answer.status == 304 and before is not None:
            there = [URL(link, encoded=True) for link in kept.links]
            return _Visit(Entry(name, before.mark, before.note), there)
        if answer.status >= 300:
            return _Visit(Trouble(name, f"was answered with {answer.status}"))
        if got.url != url:
            return _Visit(None, [got.url], moved=True)
        return await self._read(url, answer)

    async def _read(self, url: URL, answer: Answered) -> _Visit:
        """A page that was answered whole."""
        page, found = links.Page(), []
        if answer.content_type in _PAGES:
            page = await ASIDE.run(self._aside, lambda: links.read(answer.body))
            base = _address(url, page.base) if page.base else url
            found = [there for link in page.links if (there := _address(base or url, link)) is not None]
        found = [there for there in found if there.origin() == url.origin()] if page.follow else []
        if not page.index or answer.content_type.startswith(_UNREAD) or not wanted(self.section, str(url)):
            return _Visit(None, found)
        told = answer.headers
        note = _Kept(
            told.get("etag", "")[:500],
            told.get("last-modified", "")[:100],
            [str(there) for there in found[:MOST_KEPT_LINKS]],
        )
        if len(found) > MOST_KEPT_LINKS:  # what is not remembered must be read again
            note.etag = note.modified = ""
        mark = await ASIDE.run(self._aside, lambda: hashlib.sha256(answer.body).hexdigest())
        return _Visit(Entry(name_of(url), mark, _note(note, url), fetched=_fetched(answer, url)), found)

    async def _rules(self, url: URL) -> robots.Robots:
        """What the site's robots.txt says. Raises `StateUnavailable` when it cannot be told: then nothing may be read (RFC 9309, 2.3.1.4)."""
        place = str(url.origin())
        if place not in self._robots:
            got = await self._get(url.origin() / "robots.txt")
            status = got.answer.status
            if status >= 500:
                raise StateUnavailable(
                    f"The robots.txt of {url.host} was answered with {status}: nothing is read."
                )
            there = got.url is not None and status < 300
            self._robots[place] = robots.read(got.answer.body) if there else robots.Robots()
        return self._robots[place]

    async def _get(self, url: URL, headers: Mapping[str, str] | None = None, most: int | None = None) -> _Got:
        """The answer, through redirects within the site."""
        rules = self._robots.get(str(url.origin()))
        pause = max(self.section.delay_seconds, rules.delay if rules else 0.0)
        origin = url.origin()
        for _ in range(REDIRECTS + 1):
            if (left := self._asked + pause - time.monotonic()) > 0:
                await asyncio.sleep(left)
            self._asked = time.monotonic()
            host = url.raw_host or ""
            trusted = literal(host) is not None or host == "localhost"
            ask = Ask(
                str(url), headers=headers or {}, seconds=SECONDS, max_bytes=most, redirects=0, trusted=trusted
            )
            answer = await self.door.send(ask)
            if answer.status not in _MOVED or "location" not in answer.headers:
                return _Got(answer, url)
            there = _address(url, answer.headers["location"])
            if there is None or there.origin() != origin:
                return _Got(answer, None)
            url = there
        raise StateUnavailable(f"{url.host}{url.path} is redirected more than {REDIRECTS} times.")


def _first_refused(url: URL, got: _Got) -> str:
    place = f"{url.host}{url.path}"
    if got.url is None:
        there = _address(url, got.answer.headers.get("location", ""))
        return f"{place} leads to another site{f' ({there.origin()})' if there else ''}: set url to the address there."
    return f"{place} was answered with {got.answer.status}."


def name_of(url: URL) -> str:
    """What a page is called: its address without the scheme."""
    return str(url).partition("://")[2]


def _address(base: URL, link: str) -> URL | None:
    """Where a link leads, without its fragment; None for what is no address of the web."""
    try:
        url = base.join(URL(link)).with_fragment(None)
    except ValueError:
        return None
    if (
        url.scheme not in ("http", "https")
        or not url.host
        or url.raw_user is not None
        or len(str(url)) > links.MOST_LINK
    ):
        return None
    return url if url.path else url.with_path("/")


def _kept(before: Seen | None) -> _Kept:
    if before is None or "\n" not in before.note:
        return _Kept()
    return msgspec.json.decode(before.note.partition("\n")[2], type=_Kept)


def _note(kept: _Kept, url: URL) -> str:
    return f"{url.scheme}://\n{msgspec.json.encode(kept).decode()}"


def _scheme(note: str) -> str:
    return note.partition("\n")[0]


def _fetched(answer: Answered, url: URL) -> Fetched:
    attributes = {"url": str(url)[:500]}
    _, _, told = answer.headers.get("content-type", "").lower().partition("charset=")
    if (charset := told.partition(";")[0].strip("\"' ")) and codec_of(charset) is not None:
        attributes["charset"] = charset
    return Fetched(answer.body, attributes)
