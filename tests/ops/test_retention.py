"""What prune lets go, and what it never does."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intellirouter.errors import InvalidRequest
from intellirouter.ops.backup.retention import Keep, made_at, name_of, span, superfluous, tags_of
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
        ({"days": 0, "last": 3}, [8, 40, 60, 61]),
        ({"days": 0, "hourly": 2}, [1.1, 8, 40, 60, 61]),
        ({"days": 0, "yearly": 5}, [1, 1.1, 8, 40, 60, 61]),
        ({"days": 0, "within": span("1m11d")}, [60, 61]),
    ],
)
def test_the_rules(rule: dict[str, Any], gone: list[float]) -> None:
    files = made(0, 1, 1.1, 8, 40, 60, 61)
    # 2026-03-31 is a Tuesday: a day ago is the same week; 40 days ago is February, 60 and 61 January
    assert set(superfluous(files, NOW, Keep(**rule))) == set(made(*gone))


@given(st.lists(st.floats(0, 2000), min_size=1, max_size=40), st.integers(0, 400), st.integers(0, 9))
def test_the_newest_always_stays_and_nothing_young_goes(ages: list[float], days: int, count: int) -> None:
    files = made(*ages)
    gone = superfluous(files, NOW, Keep(days, count, count, count, count, count, count))
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


def test_a_tagged_one_stays_as_long_as_its_tag_is_kept() -> None:
    old = Path(name_of(NOW - timedelta(days=900), tags=["before-upgrade", "a1"]))
    files = [old, *made(0, 800)]
    assert (made_at(old), tags_of(old)) == (NOW - timedelta(days=900), ["a1", "before-upgrade"])
    assert set(superfluous(files, NOW, Keep(tags=frozenset({"before-upgrade"})))) == set(made(800))
    assert set(superfluous(files, NOW, Keep(tags=frozenset({"other"})))) == {old, *made(800)}


@pytest.mark.parametrize("tag", ["", "Upper", "a/b", "a~b", "..", "x" * 33, "ä"])
def test_what_is_no_tag_is_refused(tag: str) -> None:
    with pytest.raises(InvalidRequest, match="is no tag"):
        name_of(NOW, tags=[tag])


@pytest.mark.parametrize("text", ["", "5", "d", "-1d", "1d2y", "1.5d"])
def test_what_is_no_span_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match="no span"):
        span(text)


COUNTS = st.integers(0, 6)
KEEPS = st.builds(Keep, st.floats(0, 60), COUNTS, COUNTS, COUNTS, COUNTS, COUNTS, COUNTS)


@given(st.lists(st.floats(0, 2000), min_size=1, max_size=40), KEEPS, KEEPS)
def test_a_rule_more_never_lets_more_go_and_pruning_twice_changes_nothing(
    ages: list[float], one: Keep, other: Keep
) -> None:
    files = made(*ages)
    gone = set(superfluous(files, NOW, one))
    both = Keep(*(max(getattr(one, name), getattr(other, name)) for name in Keep.__slots__[:7]))
    assert set(superfluous(files, NOW, both)) <= gone
    left = [file for file in files if file not in gone]
    assert superfluous(left, NOW, one) == []
    assert len(left) >= min(len(set(files)), max(1, one.last))
