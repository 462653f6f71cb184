"""What is asked of Confluence: a list page by page, and one page, in the two versions of its API.

A wiki is not believed: an address that it names is never followed, only the place in the list is taken from it; a list that runs in a circle
or brings nothing new for long is an error.
"""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import msgspec

from intellirouter.bounds.aside import ASIDE
from intellirouter.bounds.marks import may_hold_more_than
from intellirouter.config.schema.rag_sources import RagSource
from intellirouter.errors import NotFound, StateUnavailable, UpstreamProtocolError
from intellirouter.providers.headers import retry_after
from intellirouter.transport.outgoing.door import Answered, Ask, OutgoingDoor

SECONDS = 60.0
PAGE = 100
MOST_EMPTY = 50
"""Pages of a list one after the other that hold nothing new."""
MOST_VALUES = 250_000
TRIES, LONGEST_WAIT = 4, 60.0
"""Of a request that the wiki's limit refuses, and seconds before each further one."""
T = TypeVar("T")


class Version(msgspec.Struct):
    """Rises with each change."""

    number: int


class Link(msgspec.Struct):
    """Where a list goes on, and where people see a page."""

    next: str | None = None
    webui: str | None = None


class Named(msgspec.Struct):
    """A label."""

    name: str
    id: str = ""


class Labels(msgspec.Struct):
    """Of a page, as v1 tells them."""

    results: list[Named] = []


class Metadata(msgspec.Struct):
    """Of a page in v1."""

    labels: Labels | None = None


class Stored(msgspec.Struct):
    """A body."""

    value: str


class Body(msgspec.Struct):
    """Of a page, where it was asked for."""

    storage: Stored | None = None


class Page(msgspec.Struct):
    """A page of the wiki."""

    id: str
    title: str = ""
    status: str = "current"
    version: Version | None = None
    metadata: Metadata | None = None
    body: Body | None = None
    links: Link | None = msgspec.field(default=None, name="_links")

    @property
    def labels(self) -> set[str]:
        """Their names, in v1."""
        told = self.metadata.labels if self.metadata is not None else None
        return {one.name for one in told.results} if told is not None else set()


class Space(msgspec.Struct):
    """A space."""

    id: str
    key: str


Item = TypeVar("Item", Page, Space, Named)


class Part(msgspec.Struct, Generic[Item]):
    """Of a list."""

    results: list[Item]
    links: Link | None = msgspec.field(default=None, name="_links")


@dataclass(slots=True)
class Confluence:
    """One wiki, asked through the outgoing door."""

    section: RagSource
    door: OutgoingDoor

    def pages(self, key: str) -> AsyncIterator[Page]:
        """The current pages of a space, each with its version. Raises `NotFound` for a space that is not there for us."""
        return self._pages_v2(key) if self.section.in_cloud else self._pages_v1(key)

    async def page(self, id_: str, most: int) -> Page | None:
        """A page with its body, of at most so many bytes; None where it is gone. Raises `AnswerTooLong`."""
        if self.section.in_cloud:
            path, words = f"/api/v2/pages/{quote(id_, safe='')}", {"body-format": "storage"}
        else:
            path = f"/rest/api/content/{quote(id_, safe='')}"
            words = {"expand": "body.storage,version", "status": "current"}
        try:
            return await self._get(path, words, Page, most)
        except NotFound:
            return None

    async def _pages_v1(self, key: str) -> AsyncIterator[Page]:
        expand = "version,metadata.labels" if self.section.labels else "version"
        words = {"spaceKey": key, "type": "page", "status": "current", "expand": expand}
        wanted = set(self.section.labels)
        async for page in self._listed("/rest/api/content", words, "start", Part[Page]):
            if not wanted or wanted & page.labels:
                yield page

    async def _pages_v2(self, key: str) -> AsyncIterator[Page]:
        spaces = await self._get("/api/v2/spaces", {"keys": key}, Part[Space])
        space = next((one for one in spaces.results if one.key == key), None)
        if space is None:
            raise NotFound(f"There is no space '{key}' for this user.")
        one = f"/api/v2/spaces/{quote(space.id, safe='')}"
        if not self.section.labels:
            async for page in self._listed(f"{one}/pages", {"status": "current"}, "cursor", Part[Page]):
                yield page
            return
        wanted, met = set(self.section.labels), set[str]()
        labels = self._listed(f"{one}/content/labels", {}, "cursor", Part[Named])
        for label in [label async for label in labels if label.name in wanted]:
            path = f"/api/v2/labels/{quote(label.id, safe='')}/pages"
            async for page in self._listed(path, {"space-id": space.id}, "cursor", Part[Page]):
                if page.id not in met and page.status == "current":
                    met.add(page.id)
                    yield page

    async def _listed(
        self, path: str, words: Mapping[str, str], goes_on: str, kind: type[Part[Item]]
    ) -> AsyncIterator[Item]:
        """Each thing once, part by part to the end of the list; `goes_on` is the parameter that says where a part begins."""
        met: set[str] = set()
        places: set[str] = set()
        asked, empty = {**words, "limit": str(PAGE)}, 0
        while True:
            part = await self._get(path, asked, kind)
            empty += 1
            for one in part.results:
                if one.id not in met:
                    met.add(one.id)
                    empty = 0
                    yield one
            place = _place(part.links, goes_on)
            if place is None:
                return
            if place in places or empty > MOST_EMPTY:
                raise UpstreamProtocolError("The wiki's list runs in a circle.")
            places.add(place)
            asked[goes_on] = place

    async def _get(self, path: str, words: Mapping[str, str], kind: type[T], most: int | None = None) -> T:
        base = (self.section.url or "").rstrip("/")
        url = f"{base}{path}?{urlencode(words)}"
        ask = Ask(url, headers=self._headers(), seconds=SECONDS, max_bytes=most, trusted=True)
        answer = await self._answered(ask)
        if answer.status in (404, 410):
            raise NotFound("The wiki has nothing of that name for this user.")
        if answer.status != 200:
            hint = " (are user and password right?)" if answer.status in (401, 403) else ""
            hint = hint or (" (does url lead to the wiki itself?)" if 300 <= answer.status < 400 else "")
            raise StateUnavailable(f"{urlsplit(base).hostname} answered {answer.status}{hint}.")
        return await ASIDE.run(f"source {self.section.name}", lambda: _read(answer.body, kind))

    async def _answered(self, ask: Ask) -> Answered:
        """The answer, once the wiki's own limit lets it through."""
        answer = await self.door.send(ask)
        for _ in range(TRIES - 1):
            if answer.status != 429:
                break
            told = retry_after(answer.headers)
            await asyncio.sleep(min(1.0 if told is None else told, LONGEST_WAIT))
            answer = await self.door.send(ask)
        return answer

    def _headers(self) -> dict[str, str]:
        password = self.section.password.get_secret_value() if self.section.password else ""
        if self.section.user is None:
            return {"accept": "application/json", "authorization": f"Bearer {password}"}
        told = b64encode(f"{self.section.user}:{password}".encode()).decode()
        return {"accept": "application/json", "authorization": f"Basic {told}"}


def _place(links: Link | None, name: str) -> str | None:
    """Where the list goes on: a parameter of the address that the wiki gives for that."""
    if links is None or not links.next:
        return None
    try:
        found = parse_qs(urlsplit(links.next[:8_000]).query, max_num_fields=100).get(name)
    except ValueError:
        found = None
    if not found:
        raise UpstreamProtocolError("The wiki does not say how its list goes on.")
    return found[0]


def _read(body: bytes, kind: type[T]) -> T:
    if may_hold_more_than(MOST_VALUES, body):
        raise UpstreamProtocolError(f"The wiki's answer holds more than {MOST_VALUES:,} values.")
    try:
        return msgspec.json.decode(body, type=kind, strict=False)
    except (msgspec.DecodeError, RecursionError) as cause:
        raise UpstreamProtocolError("The wiki's answer is not what Confluence sends.") from cause
