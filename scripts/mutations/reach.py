"""Which test comes past which block, and what it costs: every test is run once, and what was reached is kept in a file.

Files that start many processes are the dearest and say least about one line: those of `tests/conftest.py`'s `LONG` are left out,
and a file is given up after `--file-seconds`.
"""

from __future__ import annotations

import ast
import hashlib
import pickle
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from scripts.mutations import marks, nursery
from scripts.mutations.sampling import Mutant, files


@dataclass
class Reach:
    """What was found, for the files as they were."""

    files: list[str]
    hashes: list[str]
    functions: list[list[str]]
    """Of each file's marks."""
    at_import: set[int]
    modules: list[str]
    """Of other packages, that the tests need."""
    ran: dict[str, nursery.Ran] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        part = path.with_suffix(".part")
        part.write_bytes(pickle.dumps(self))
        part.replace(path)

    def wanted(self, mutant: Mutant, tree: Path) -> set[int]:
        """The marks that tell of a mutant: its own, or all of its function where the file was changed since."""
        if mutant.mark is None or mutant.file not in self.files:
            return set()
        number = self.files.index(mutant.file)
        first = number * marks.MARKS_OF_A_FILE
        if _hash(tree / mutant.file) == self.hashes[number]:
            return {first + mutant.mark}
        return {
            first + mark
            for mark, function in enumerate(self.functions[number])
            if function == mutant.function
        }

    def of_file(self, file: str) -> set[int]:
        """Every mark of a file."""
        if file not in self.files:
            return set()
        number = self.files.index(file)
        first = number * marks.MARKS_OF_A_FILE
        return set(range(first, first + len(self.functions[number])))

    def tests(self, wanted: Sequence[set[int]]) -> list[list[nursery.Ran]]:
        """For each set of marks the tests that pass and come past one of them."""
        by_mark: dict[int, list[int]] = {}
        for place, one in enumerate(wanted):
            for mark in one:
                by_mark.setdefault(mark, []).append(place)
        found: list[list[nursery.Ran]] = [[] for _ in wanted]
        keys = by_mark.keys()
        for ran in self.ran.values():
            if ran.outcome == "passed":
                for place in {place for mark in keys & set(ran.marks()) for place in by_mark[mark]}:
                    found[place].append(ran)
        return found


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def explore(tree: Path, to: Path, tests: Iterable[str], long: Sequence[str], seconds: float) -> None:
    """Run the tests of this tree that are not known yet, file by file, and keep what they reached."""
    every = files(tree)
    marks.Finder(tree / "intellirouter", every).install()

    def work(session: pytest.Session) -> None:
        known = pickle.loads(to.read_bytes()) if to.exists() else None
        if known is not None and (known.files, known.hashes) != (
            every,
            [_hash(tree / file) for file in every],
        ):
            known = None  # of another version: its numbers are not these
        own = ("intellirouter", "tests", "scripts", "conftest", "__main__", "_pytest", "pytest")
        others = [
            name
            for name, module in list(sys.modules.items())
            if name.partition(".")[0] not in own and getattr(module, "__spec__", None)
        ]
        found = known or Reach(
            every,
            [_hash(tree / file) for file in every],
            [marks.marked(ast.parse((tree / file).read_bytes())).functions for file in every],
            set(marks.reached),
            others,
        )
        found.at_import |= marks.reached
        found.modules = list(dict.fromkeys((*found.modules, *others)))
        found.save(to)
        by_file: dict[str, list[pytest.Item]] = {}
        for item in session.items:
            file = item.nodeid.partition("::")[0]
            if item.nodeid not in found.ran and not any(one in file for one in long):
                by_file.setdefault(file, []).append(item)
        for number, (file, items) in enumerate(by_file.items(), 1):
            began = time.monotonic()
            ran, _ = nursery.forked(
                lambda path, items=items: nursery.run(session, items, path, on=True, limits={}), seconds
            )
            found.ran.update((one.test, one) for one in ran)
            bad = [
                one.test
                for one in found.ran.values()
                if one.test.startswith(file + "::") and one.outcome in ("failed", "began")
            ]
            print(
                f"{number:4}/{len(by_file)} {time.monotonic() - began:6.1f} s {sum(one.cost for one in ran):6.1f} cpu {len(items):5} {file} {bad[:3] or ''}",
                file=sys.__stderr__,
                flush=True,
            )
            if number % 10 == 0:
                found.save(to)
        found.save(to)

    nursery.collected(tree, work, tests)
