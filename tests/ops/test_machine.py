"""What `diagnose` says of the machine and of the log's end, at every level of it."""

from __future__ import annotations

import os
import resource
import shutil
from collections import namedtuple
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from intellirouter.ops.diagnose.finding import Finding, Level
from intellirouter.ops.diagnose.logs import TAIL, recent_errors
from intellirouter.ops.diagnose.machine import BUSY, FILES_WANTED, GIB, system

OK, WARNING, PROBLEM = Level
Disk = namedtuple("Disk", "total used free")


def found(name: str, directory: Path | None, open_files: int | None = None) -> Finding:
    return next(one for one in system(directory, open_files) if one.name == name)


@pytest.mark.parametrize(
    ("free", "level"), [(100, OK), (16, OK), (14, WARNING), (6, WARNING), (4, PROBLEM), (0, PROBLEM)]
)
def test_a_disk_that_fills(free: int, level: Level, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Disk(100 * GIB, (100 - free) * GIB, free * GIB))
    told = found("disk", tmp_path / "not/made/yet")
    assert (told.level, bool(told.advice)) == (level, level != OK)
    assert told.message == f"{free:.1f} of 100.0 GiB free at {tmp_path}"
    assert not [one for one in system(None, None) if one.name == "disk"]


@pytest.mark.parametrize(("percent", "level"), [(79, OK), (81, WARNING), (94, WARNING), (96, PROBLEM)])
def test_memory_that_fills(percent: int, level: Level, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = SimpleNamespace(percent=percent, total=8 * GIB)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    told = found("memory", None)
    assert (told.level, told.message) == (level, f"{percent} % of 8.0 GiB in use")
    assert bool(told.advice) is (level != OK)


@pytest.mark.parametrize(("load", "level"), [(0.2, OK), (BUSY + 0.1, WARNING)])
def test_a_machine_that_is_busy(load: float, level: Level, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    monkeypatch.setattr(os, "getloadavg", lambda: (99.0, 4 * load, 99.0))
    told = found("cpu", None)
    assert (told.level, told.message) == (level, f"load {load:.2f} a core over 5 minutes, 4 cores")
    assert bool(told.advice) is (level != OK)


@pytest.mark.parametrize(
    ("limit", "level", "words"),
    [
        (FILES_WANTED - 1, WARNING, f"{FILES_WANTED - 1} may be open"),
        (FILES_WANTED, OK, f"{FILES_WANTED} may be open"),
        (resource.RLIM_INFINITY, OK, "unlimited"),
    ],
)
def test_files_that_may_be_open(limit: int, level: Level, words: str) -> None:
    told = found("open files", None, limit)
    assert (told.level, bool(told.advice)) == (level, level != OK)
    assert words in told.message


LINE = '{"level":"%s","event":"%s"}\n'


@pytest.mark.parametrize(
    ("text", "level", "words"),
    [
        (None, OK, "is not made yet"),
        ("", OK, "none in the last 0 lines"),
        (LINE % ("info", "a.b") * 3, OK, "none in the last 3 lines"),
        (
            LINE % ("error", "a.b") * 2 + LINE % ("info", "x") + LINE % ("error", "c.d"),
            WARNING,
            "a.b (2), c.d (1) in ",
        ),
        ("no JSON\n[1]\n" + LINE % ("error", "a.b"), WARNING, "a.b (1) in "),
        (LINE % ("error", "old") + LINE % ("info", "x") * (TAIL // 20), OK, "none in the last"),
    ],
)
def test_errors_at_the_end_of_the_log(text: str | None, level: Level, words: str, tmp_path: Path) -> None:
    file = tmp_path / "node.log"
    if text is not None:
        file.write_text(text)
    told = recent_errors(file)
    assert (told.level, bool(told.advice)) == (level, level != OK)
    assert words in told.message


def test_a_log_that_has_no_place(tmp_path: Path) -> None:
    assert recent_errors(None).level == OK
    told = recent_errors(tmp_path / "nowhere/node.log")
    assert (told.level, "no such directory" in told.message) == (PROBLEM, True)
