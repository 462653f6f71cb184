"""Lines that are alike are bounded and counted, in the log and in the access log."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from intellirouter.telemetry import logs
from intellirouter.telemetry.access import AccessLog, sampled
from intellirouter.telemetry.flood import KINDS, Flood


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def let_through(flood: Flood, event: str, times: int, level: str = "warning") -> list[int]:
    """What `suppressed` says on each line that came through."""
    found = []
    for _ in range(times):
        try:
            line = flood(None, level, {"logger": "l", "event": event})
        except structlog.DropEvent:
            continue
        found.append(line.get("suppressed", 0))
    return found


def test_of_one_kind_so_many_a_second_and_the_rest_is_counted() -> None:
    clock = Clock()
    flood = Flood(10, clock)
    assert let_through(flood, "provider.down", 1_000) == [0] * 10
    assert let_through(flood, "another", 5) == [0] * 5
    assert let_through(flood, "provider.down", 5, level="error") == [0] * 5
    clock.now = 0.999
    assert let_through(flood, "provider.down", 10) == []
    clock.now = 1.0
    assert let_through(flood, "provider.down", 12) == [1_000, *[0] * 9]
    clock.now = 5.0
    assert let_through(flood, "provider.down", 1) == [2]


def test_kinds_without_end_take_no_memory_without_end() -> None:
    flood = Flood(1, Clock())
    for number in range(3 * KINDS):
        assert let_through(flood, f"event {number}", 1) == [0]
    assert let_through(flood, f"event {3 * KINDS - 1}", 1) == []


@given(st.lists(st.sampled_from([200, 404, 500, 503]), max_size=400), st.integers(1, 50))
def test_the_access_log_keeps_every_failure_and_says_how_many_a_line_stands_for(
    statuses: list[int], most: int
) -> None:
    held = [(float(at), {"status": status, "at": at}) for at, status in enumerate(statuses)]
    kept = sampled(held, most)
    assert [record for record in kept if record[1]["status"] >= 500] == [
        record for record in held if record[1]["status"] >= 500
    ]
    plain = [fields for _, fields in kept if fields["status"] < 500]
    assert sum(fields.get("sampled", 1) for fields in plain) == sum(status < 500 for status in statuses)
    assert [when for when, _ in kept] == sorted(when for when, _ in kept)
    failures = sum(status >= 500 for status in statuses)
    assert len(plain) <= max(most - failures, 1) or len(held) <= most


@pytest.fixture
def log_file(tmp_path: Path) -> Iterator[Path]:
    file = tmp_path / "log"
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    for handler in handlers:
        root.removeHandler(handler)
    logs.configure(level="info", json=True, file=file, most_alike=3)
    yield file
    for handler in root.handlers[:]:
        root.removeHandler(handler)
        handler.close()
    for handler in handlers:
        root.addHandler(handler)
    root.setLevel(level)
    structlog.reset_defaults()


def read(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


async def test_a_log_file_under_a_flood(log_file: Path) -> None:
    log = structlog.get_logger("intellirouter.test")
    for number in range(50):
        log.warning("provider.down", number=number)
    log.info("something.else")
    access = AccessLog(enabled=True, json=True, most=25)
    for number in range(500):
        access.note({"status": 502 if number == 250 else 200, "number": number})
    access.flush()
    lines = read(log_file)
    said = [line["event"] for line in lines]
    assert said.count("provider.down") == 3
    assert said.count("something.else") == 1
    requests = [line for line in lines if line["event"] == "request"]
    assert len(requests) <= 6
    assert 250 in [line["number"] for line in requests]
    assert sum(line.get("sampled", 1) for line in requests) == 500
