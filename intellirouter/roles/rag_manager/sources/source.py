"""What a kind of source does: say what there is, and give one of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Protocol

from intellirouter.config.schema.rag_sources import RagSource

FEW = 10
"""Documents that may go at once whatever share of all they are."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of a document from the last look: the mark of its version, and what its source wanted to remember."""

    mark: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Fetched:
    """The bytes of one document. `attributes` go with it, `charset` among them where the source knows it."""

    data: bytes
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Entry:
    """One document there. `mark` changes with its version: a hash, an ETag, a time; it is fetched when the mark is new.

    `fetched` where it came with the listing already.
    """

    name: str
    mark: str
    note: str = ""
    size: int | None = None
    fetched: Fetched | None = None


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something there that could not be listed: what lies below it is unknown, so that nothing is taken for gone."""

    name: str
    reason: str


Known = Callable[[str], Seen | None]
"""What was seen of the document of that name."""


class Source(Protocol):
    """One place, opened for one look. Both methods raise `IntelliRouterError` or `OSError` when it is away as a whole."""

    def listed(self, known: Known) -> AsyncIterator[Entry | Trouble]:
        """Everything there that `wanted` lets through, each name once, in any order."""

    async def fetch(self, entry: Entry, most: int) -> Fetched | None:
        """One document, of at most so many bytes; None when it is gone meanwhile. What it raises is that document's own fault."""

    async def aclose(self) -> None:
        """Let go of connections and files."""


def wanted(section: RagSource, name: str) -> bool:
    """Whether the operator's patterns let a name through."""
    return any(fnmatchcase(name, one) for one in section.include) and not excluded(section, name)


def excluded(section: RagSource, name: str) -> bool:
    """Whether it is not even looked into."""
    return any(fnmatchcase(name, one) for one in section.exclude)


def suspicious(listed: int, missing: int, known: int, at_most: float) -> str | None:
    """Why `missing` of `known` documents are not removed by themselves, or None: a place that is away may look empty.

    `listed` is how many are there; `at_most` the share that may be gone at once.
    """
    if not listed:
        return "it lists nothing at all"
    if missing > max(FEW, at_most * known):
        return f"{missing} of {known} documents are gone at once"
    return None
