"""Whether a journal is as it was written: every record that was changed, removed, swapped, added or cut off is named."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

import msgspec

from intellirouter.security.audit.chain import FIRST, Head, Signer, read
from intellirouter.security.audit.entry import Record
from intellirouter.security.audit.journal import files_of, read_head

MOST_FINDINGS = 1_000
"""What is told of one journal; the rest is counted."""

Where = tuple[str, int]
Problem = Literal["changed", "removed", "swapped", "added", "cut off", "unreadable", "head", "other key"]


class Finding(msgspec.Struct, frozen=True):
    """What is wrong, at which record numbers and where (file or store, and line)."""

    problem: Problem
    node: str
    message: str
    first: int = 0
    last: int = 0


class Verdict(msgspec.Struct, frozen=True):
    """Of one journal: how many records were read, the last number, and what is wrong with them."""

    node: str
    records: int
    last: int
    findings: list[Finding] = []
    more_findings: int = 0


class Verifier:
    """Takes the lines of one journal in order, then says what it found. Its memory does not grow with the journal.

    `whole` is false for a copy that may begin later than the journal did.
    """

    def __init__(self, signer: Signer, node: str, *, whole: bool = True) -> None:
        self._signer = signer
        self._whole = whole
        self._node = node
        self._findings: list[Finding] = []
        self._more = 0
        self._missing: list[tuple[int, int]] = []
        self._previous: tuple[int, str] = (0, FIRST)
        self._count = self._last = self._pruned = 0

    def take(self, line: bytes, where: Where) -> None:
        """The next line."""
        self._count += 1
        record = read(line)
        if not self._whole and record is not None:
            self._whole, self._previous = True, (record.n - 1, "")
        place = f"{where[0]} line {where[1]}"
        expected = self._previous[0] + 1
        if record is None:
            self._found("unreadable", f"record {expected} is no record any more ({place})", expected)
            self._go_on(expected, "")
        elif record.signed != self._signer.name:
            self._foreign(record, place)
            self._go_on(record.n, record.mac)
        elif not self._signer.holds(line) or record.node != self._node:
            self._found("changed", f"record {expected} is not as it was written ({place})", expected)
            self._go_on(expected, "")
        else:
            self._place(record, place, expected)

    def _foreign(self, record: Record, place: str) -> None:
        """Of records with another key in a row, one finding."""
        last = self._findings[-1] if self._findings else None
        if last is not None and last.problem == "other key" and last.last == record.n - 1:
            self._findings[-1] = msgspec.structs.replace(last, last=record.n)
            return
        message = (
            f"from record {record.n} on, signed with key {record.signed}, not {self._signer.name} ({place})"
        )
        self._found("other key", message, record.n)

    def _place(self, record: Record, place: str, expected: int) -> None:
        if record.kind == "system" and record.action == "prune":
            self._pruned = max(self._pruned, int(record.note.removeprefix("through ")))
        if record.n < expected:
            if self._fill(record.n):
                self._found(
                    "swapped",
                    f"record {record.n} stands after record {self._previous[0]} ({place})",
                    record.n,
                )
            else:
                self._found("added", f"record {record.n} stands there more than once ({place})", record.n)
            return
        if record.n > expected:
            self._missing.append((expected, record.n - 1))
        elif self._previous[1] and record.prev != self._previous[1]:
            self._found(
                "changed", f"record {record.n} does not go on from record {expected - 1} ({place})", record.n
            )
        self._go_on(record.n, record.mac)

    def verdict(self, heads: Iterable[tuple[str, Head | None]]) -> Verdict:
        """Once every line was taken. `heads` are those that say where it ends, and who says so; None: there should be one."""
        for said_by, head in heads:
            if head is None:
                if self._count:
                    self._found(
                        "head", f"{said_by} is missing or unreadable: nothing says where the journal ends"
                    )
            elif not head.holds(self._signer, self._node):
                self._found("head", f"{said_by} is not as it was written")
            else:
                self._pruned = max(self._pruned, head.pruned)
                if head.n > self._last:
                    first = self._last + 1
                    self._found(
                        "cut off",
                        f"{_numbers(first, head.n)} removed at the end ({said_by} names {head.n})",
                        first,
                        head.n,
                    )
                    self._last = head.n
        for first, last in self._missing:
            if last > self._pruned:
                first = max(first, self._pruned + 1)
                self._found("removed", f"{_numbers(first, last)} removed", first, last)
        ordered = sorted(self._findings, key=lambda finding: finding.first)
        return Verdict(self._node, self._count, self._last, ordered, self._more)

    def _go_on(self, n: int, mac: str) -> None:
        self._previous = (n, mac)
        self._last = max(self._last, n)

    def _fill(self, n: int) -> bool:
        """Whether the number was missing so far."""
        for index, (first, last) in enumerate(self._missing):
            if first <= n <= last:
                self._missing[index : index + 1] = [
                    part for part in ((first, n - 1), (n + 1, last)) if part[0] <= part[1]
                ]
                return True
        return False

    def _found(self, problem: Problem, message: str, first: int = 0, last: int = 0) -> None:
        if len(self._findings) < MOST_FINDINGS:
            self._findings.append(Finding(problem, self._node, message, first, last or first))
        else:
            self._more += 1


def _numbers(first: int, last: int) -> str:
    return f"record {first} was" if first == last else f"records {first} to {last} were"


def lines_of(directory: Path) -> Iterator[tuple[bytes, Where]]:
    """Every line of a journal's files and where it stands. What a crash left of a last line is none. Raises `OSError`."""
    files = files_of(directory)
    for file in files:
        with file.open("rb") as handle:
            for number, line in enumerate(handle, 1):
                if line.endswith(b"\n") or file is not files[-1]:
                    yield line, (file.name, number)


def verify_files(
    directory: Path, node: str, signer: Signer, also: Iterable[tuple[str, Head | None]] = ()
) -> Verdict:
    """The journal in `directory`. `also` are heads kept elsewhere, and who says them. Raises `OSError`."""
    # the head first: what is written while this reads is no fault
    head = read_head(directory)
    heads = [("its head", head), *also]
    verifier = Verifier(signer, node)
    for line, where in lines_of(directory):
        verifier.take(line, where)
    return verifier.verdict(heads)
