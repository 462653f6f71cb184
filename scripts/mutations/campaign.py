"""Tries mutants: each against the tests that come past it, the nearest and quickest first."""

from __future__ import annotations

import ast
import contextlib
import importlib
import json
import os
import pickle
import shutil
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import CodeType

import pytest

from scripts.mutations import nursery
from scripts.mutations.nursery import Ran
from scripts.mutations.reach import Reach
from scripts.mutations.sampling import ROOT, Mutant
from scripts.mutations.swap import changes, functions, swapped

Changes = list[tuple[CodeType, CodeType]]
COPIED = ("intellirouter", "tests", "config", "scripts", "packaging")
FILES = ("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md")


def copied(to: Path) -> Path:
    """A copy of the tree, so that nothing here is touched."""
    for name in COPIED:
        shutil.copytree(ROOT / name, to / name)
    for name in FILES:
        if (ROOT / name).exists():
            shutil.copy2(ROOT / name, to / name)
    return to


def near(file: str, tree: Path) -> list[str]:
    """The test files of a module's room: those that import it, then the others of the same folder."""
    parts = Path(file).relative_to("intellirouter").with_suffix("").parts
    module = ".".join(("intellirouter", *parts)).removesuffix(".__init__")
    texts = {test: test.read_text(encoding="utf-8") for test in sorted(tree.glob("tests/**/test_*.py"))}
    importing = [test for test, text in texts.items() if f"{module} " in text or f"{module}\n" in text]
    folder = tree / "tests"
    for part in parts[:-1]:
        if not (folder / part).is_dir():
            break
        folder /= part
    room = (
        []
        if folder == tree / "tests"
        else sorted(folder.glob("test_*.py")) or sorted(folder.rglob("test_*.py"))
    )
    return [str(test.relative_to(tree)) for test in dict.fromkeys((*importing, *room))]


def chosen(tests: Sequence[Ran], room: Sequence[str], seconds: float) -> list[str]:
    """Tests worth so many seconds of processor time: of the room first, then a test of each other file in turn, the quickest first.

    Those of a file stay together, for what they share.
    """
    by_file: dict[str, list[Ran]] = {}
    for one in sorted(tests, key=lambda ran: ran.cost):
        by_file.setdefault(one.test.partition("::")[0], []).append(one)
    taken: dict[str, list[str]] = {}
    for names in ([name for name in room if name in by_file], [name for name in by_file if name not in room]):
        left, queues = seconds / 2, {name: iter(by_file[name]) for name in names}
        while queues and left > 0:
            for name in list(queues):
                one = next(queues[name], None)
                if one is None:
                    del queues[name]
                elif left > 0:
                    taken.setdefault(name, []).append(one.test)
                    left -= one.cost + 0.02
    return [test for tests in taken.values() for test in tests]


def apart(reach: Reach, room: Sequence[str], seconds: float) -> list[str]:
    """Where no test comes past in its own process: those of the nearest files that cost most, as what starts processes does."""
    known = sorted(reach.ran.values(), key=lambda ran: -ran.cost)
    mapped = {one.test.partition("::")[0] for one in known}
    found, left = [name for name in room if name not in mapped][:2], seconds
    for one in known:
        if (
            left > 0
            and one.outcome == "passed"
            and one.cost > 0.5
            and one.test.partition("::")[0] in room[:6]
        ):
            found.append(one.test)
            left -= one.cost
    return found


@dataclass
class Trial:
    """A mutant with what is to be run, in its order."""

    mutant: Mutant
    tests: list[str]
    cold: bool
    """Whether it must be there when the package is imported."""


def trials(mutants: Sequence[Mutant], reach: Reach, tree: Path, seconds: float) -> list[Trial]:
    """Which tests are tried; see `apart` for where no test comes past."""
    wanted = [reach.wanted(one, tree) or reach.of_file(one.file) for one in mutants]
    found = []
    for mutant, marks, tests in zip(mutants, wanted, reach.tests(wanted), strict=True):
        room = near(mutant.file, tree)
        names = chosen(tests, room, seconds) or apart(reach, room, seconds)
        found.append(Trial(mutant, names, mutant.mark is None or bool(marks & reach.at_import)))
    return found


class Campaign:
    """See `tried`."""

    def __init__(self, tree: Path, reach: Reach, link: socket.socket, patience: float) -> None:
        self._tree, self._reach, self._patience = tree, reach, patience
        self._link = link.makefile("rw")

    def begin(self, session: pytest.Session) -> None:
        self._session = session
        self._items = {item.nodeid: item for item in session.items}
        self._files: dict[str, list[pytest.Item]] = {}
        for item in session.items:
            self._files.setdefault(item.nodeid.partition("::")[0], []).append(item)
        self._there = functions(self._tree / "intellirouter")

    def tried(self, trial: Trial) -> str:
        """How it was noticed; nothing when every test passes. A test that fails without the change too is left out."""
        items = [
            item
            for name in trial.tests
            for item in (
                self._files.get(name, []) if "::" not in name else filter(None, [self._items.get(name)])
            )
        ]
        until = time.monotonic() + 3 * self._patience
        while items and time.monotonic() < until:
            changed = changes(trial.mutant, self._tree)
            with self._written(trial.mutant):
                ran, in_time = self._cold(items) if trial.cold else self._warm(trial.mutant, changed, items)
            last = ran[-1] if ran else None
            if last is None or (in_time and last.outcome not in ("failed", "began")):
                if last is None and trial.cold:
                    return "failed: nothing can be imported" if self._cold(items[:1])[0] else ""
                if last is None:
                    trial.cold = True  # it has no place in what is there
                    continue
                return ""
            if last.test not in self._items:
                return "failed: collection " + last.why[-100:]
            if self._passes(self._items[last.test]):
                how = "failed" if last.outcome == "failed" and "Timeout" not in last.why[-80:] else "hung"
                return f"{how}: {last.test}"
            items = items[[item.nodeid for item in items].index(last.test) + 1 :]
        return ""

    def _passes(self, item: pytest.Item) -> bool:
        ran, _ = nursery.forked(
            lambda path: nursery.run(self._session, [item], path, on=True, limits=self._limits([item])),
            self._patience,
        )
        return bool(ran) and ran[-1].outcome == "passed"

    def _limits(self, items: Sequence[pytest.Item]) -> dict[str, float]:
        known = self._reach.ran
        return {
            item.nodeid: max(40.0, 10 * known[item.nodeid].seconds) if item.nodeid in known else 120.0
            for item in items
        }

    def _warm(self, mutant: Mutant, changed: Changes, items: Sequence[pytest.Item]) -> tuple[list[Ran], bool]:
        def task(path: Path) -> None:
            if swapped(changed, self._there.get(str(self._tree / mutant.file), ())):
                nursery.run(self._session, items, path, on=False, limits=self._limits(items))

        return nursery.forked(task, self._patience)

    def _cold(self, items: Sequence[pytest.Item]) -> tuple[list[Ran], bool]:
        self._link.write(json.dumps([[item.nodeid for item in items], self._patience]) + "\n")
        self._link.flush()
        rows, in_time = json.loads(self._link.readline())
        return [Ran(test, outcome, cost, 0, why=why) for test, outcome, cost, why in rows], in_time

    @contextlib.contextmanager
    def _written(self, mutant: Mutant) -> Iterator[None]:
        """The change in the file, for processes that the tests start, with a time that no compiled file has."""
        target = self._tree / mutant.file
        before, times = target.read_bytes(), target.stat()
        text = ast.unparse(mutant.tree(self._tree)) + "\n"
        target.write_text(text, encoding="utf-8")
        os.utime(target, (times.st_atime, times.st_mtime + 1000 + time.monotonic() % 100_000))
        try:
            yield
        finally:
            target.write_bytes(before)
            os.utime(target, ns=(times.st_atime_ns, times.st_mtime_ns))


def serve_cold(link: socket.socket, modules: Sequence[str]) -> None:
    """In a process that knows the other packages alone: run the tests that are asked for with the package imported anew."""
    lines = link.makefile("rw")
    for number, line in enumerate(lines):
        for name in modules if number == 0 else ():
            with contextlib.suppress(Exception):
                importlib.import_module(name)
        tests, seconds = json.loads(line)
        ran, in_time = nursery.forked(lambda path, tests=tests: _cold(tests, path), seconds)
        lines.write(json.dumps([[[one.test, one.outcome, one.cost, one.why] for one in ran], in_time]) + "\n")
        lines.flush()


def _cold(tests: Sequence[str], path: Path) -> None:
    reports = nursery.Reports()

    def work(session: pytest.Session) -> None:
        nursery.run(session, session.items, path, on=False, limits={})

    pytest.main([*nursery.WORDS, *tests], plugins=[nursery.Nursery(work), reports])
    if not path.stat().st_size and reports.outcome == "failed":
        path.write_bytes(pickle.dumps(Ran("collection", "failed", 0, 0, b"", reports.why)))
