"""What prune lets go, and what it never does."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intellirouter.ops.backup.retention import made_at, name_of, superfluous
from tests.servers.process import command

NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)


def made(*days_ago: float) -> list[Path]:
    return [Path(name_of(NOW - timedelta(days=days))) for days in days_ago]


def test_a_name_says_when() -> None:
    assert made_at(Path(name_of(NOW))) == NOW
    assert made_at(Path("notes.irbackup")) is None


@pytest.mark.parametrize(
    ("rule", "gone"),
    [
        ({"days": 30}, [40, 60, 61]),
        ({"days": 365}, []),
        ({"days": 0}, [1, 1.1, 8, 40, 60, 61]),
        ({"days": 0, "daily": 2}, [1.1, 8, 40, 60, 61]),
        ({"days": 0, "weekly": 3}, [1, 1.1, 60, 61]),
        ({"days": 0, "monthly": 3}, [1, 1.1, 8, 61]),
    ],
)
def test_the_rules(rule: dict[str, int], gone: list[float]) -> None:
    files = made(0, 1, 1.1, 8, 40, 60, 61)
    # 2026-03-31 is a Tuesday: a day ago is the same week; 40 days ago is February, 60 and 61 January
    assert set(superfluous(files, NOW, **rule)) == set(made(*gone))


@given(st.lists(st.floats(0, 2000), min_size=1, max_size=40), st.integers(0, 400), st.integers(0, 9))
def test_the_newest_always_stays_and_nothing_young_goes(ages: list[float], days: int, count: int) -> None:
    files = made(*ages)
    gone = superfluous(files, NOW, days=days, daily=count, weekly=count, monthly=count)
    assert made(min(ages))[0] not in gone
    assert all(NOW - (made_at(file) or NOW) > timedelta(days=days) for file in gone)


async def test_the_command_deletes_what_may_go_and_nothing_else(tmp_path: Path) -> None:
    old = tmp_path / name_of(datetime.now(UTC) - timedelta(days=90))
    young = tmp_path / name_of(datetime.now(UTC) - timedelta(days=3))
    foreign = tmp_path / "notes.txt"
    for file in (old, young, foreign):
        file.write_bytes(os.urandom(10))
    assert await command("backup", "prune", str(tmp_path), "--dry-run") == (0, f"would delete {old}\n", "")
    assert old.exists()
    assert await command("backup", "prune", str(tmp_path)) == (0, f"deleted {old}\n", "")
    assert {young.exists(), foreign.exists(), not old.exists()} == {True}
