"""Finding records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from intellirouter.security.audit.chain import read
from intellirouter.security.audit.entry import Record
from intellirouter.security.audit.journal import files_of

MOST = 1_000
"""Records of one answer."""


class Query(msgspec.Struct, frozen=True):
    """What is looked for; an empty field asks nothing. `since` is included, `until` and `before` (a cursor) are not.

    `text` is looked for in the whole record, without regard to case; `who`, `on` and `action` in theirs.
    """

    since: str = ""
    until: str = ""
    kind: str = ""
    action: str = ""
    who: str = ""
    on: str = ""
    tenant: str = ""
    address: str = ""
    outcome: str = ""
    request: str = ""
    node: str = ""
    text: str = ""
    before: str = ""

    def takes(self, record: Record, line: bytes) -> bool:
        """Whether the record is one of those."""
        exact = ("kind", "tenant", "address", "outcome", "request", "node")
        if any(
            wanted and getattr(record, name) != wanted for name in exact if (wanted := getattr(self, name))
        ):
            return False
        if any(
            wanted.lower() not in getattr(record, name).lower()
            for name in ("action", "who", "on")
            if (wanted := getattr(self, name))
        ):
            return False
        if (self.since and record.at < self.since) or (self.until and record.at >= self.until):
            return False
        if self.before and cursor(record) >= self.before:
            return False
        return not self.text or self.text.lower() in line.decode("utf-8", "replace").lower()

    def may_hold(self, day: str) -> bool:
        """Whether a file of that day (`2026-11-20`) can hold one."""
        last = min(filter(None, (self.until, self.before)), default="")
        return not (self.since and day < self.since[:10]) and not (last and day > last[:10])


def cursor(record: Record) -> str:
    """What orders records of several nodes, the newest last."""
    return f"{record.at}~{record.node}~{record.n:012d}"


def newest_first(directory: Path, query: Query) -> Iterator[bytes]:
    """The lines of the files that can hold such records, the newest first. Raises `OSError`."""
    for file in reversed(files_of(directory)):
        if query.may_hold(file.name[:10]):
            yield from reversed(file.read_bytes().splitlines())


def search(lines: Iterable[bytes], query: Query, limit: int) -> list[Record]:
    """The first `limit` records of these lines that are looked for."""
    found: list[Record] = []
    for line in lines:
        record = read(line)
        if record is not None and query.takes(record, line):
            found.append(record)
            if len(found) >= limit:
                break
    return found
