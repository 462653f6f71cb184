"""What is known right after a merge: the rules by which it is told apart from what was seen, and its bounds."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator

import pytest

from intellirouter.memory.outage import settled
from intellirouter.memory.outage.shadow import SeenLevel, SeenLog, SeenValue
from intellirouter.memory.store import Versioned

LOGS: dict[str, tuple[list[bytes] | None, list[settled.Row], list[bytes] | None]] = {
    "nothing known": (None, [], None),
    "seen only": ([b"a"], [], [b"a"]),
    "settled on top of what was seen": ([b"a"], [(1, b"b", 2), (2, b"c", 2)], [b"a", b"b", b"c"]),
    "settled from the start": (None, [(-1, None, 2), (0, b"a", 2)], [b"a"]),
    "another node wrote in between": ([b"a"], [(2, b"c", 2)], None),
    "only the end is known": (None, [(5, b"f", 2)], None),
    "seen after it was settled": ([b"x"], [(-1, None, 1), (0, b"a", 1), (1, b"b", 1)], [b"x"]),
    "seen while it was settled": ([b"a", b"b"], [(1, b"b", 2)], [b"a", b"b"]),
    "emptied after it was seen": ([b"x", b"y"], [(-1, None, 2), (0, b"a", 2)], [b"a"]),
    "emptied": ([b"x"], [(-1, None, 2)], []),
}


@pytest.mark.parametrize("name", LOGS)
def test_a_log_is_what_was_seen_and_what_was_settled_since(name: str) -> None:
    seen, rows, expected = LOGS[name]
    known = settled.extend(None if seen is None else SeenLog(seen, 1.0), rows)
    assert (None if known is None else known.items) == expected


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    one = sqlite3.connect(":memory:", isolation_level=None)
    one.executescript(settled.SCHEMA)
    yield one
    one.close()


def test_the_later_of_two_sights_holds_and_only_in_its_window(connection: sqlite3.Connection) -> None:
    now = time.time()
    bucket = int(now // 3600)
    settled.keep_level(connection, "c:x", 3600, bucket, 5, now)
    settled.keep_value(connection, "v", SeenValue(Versioned(b"kept", 7), None, now))
    for ago, level, value in ((1, 5.0, b"kept"), (-1, 9.0, b"seen")):
        assert settled.level(connection, "c:x", 3600, SeenLevel(bucket, 9, now - ago)) == level
        known = settled.value(connection, "v", SeenValue(Versioned(b"seen", 8), None, now - ago))
        assert known is not None
        assert known.value == value
    settled.keep_level(connection, "c:x", 3600, bucket - 1, 5, now)
    assert settled.level(connection, "c:x", 3600, None) == 0


def test_what_was_settled_longest_ago_goes_first(
    connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settled, "MAX_LEVELS", 2)
    monkeypatch.setattr(settled, "MAX_BYTES", 500)
    now = time.time()
    for age in range(4):
        settled.keep_level(connection, f"c:{age}", 0, 0, 1, now - age)
        settled.keep_value(
            connection, f"v{age}", SeenValue(Versioned(b"x" * 100, 1), None, now - age * settled.LIFE / 3)
        )
        settled.keep_items(connection, f"l{age}", 0, [b"x" * 100] * 2, now - age)
    settled.keep_level(connection, "over", 1, int(now) - 5, 1, now)
    settled.trim(connection)

    def keys(table: str) -> set[str]:
        return {row[0] for row in connection.execute(f"select key from {table}")}

    assert keys("settled_level") == {"c:0", "c:1"}
    assert keys("settled_value") == {"v0", "v1", "v2"}
    assert keys("settled_item") == {"l0"}
