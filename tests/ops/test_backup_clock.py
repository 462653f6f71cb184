"""The backups that a node makes by itself: at the time, once for a data directory, and told where alerts look."""

from __future__ import annotations

import asyncio
import time
from datetime import datetime
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from intellirouter.app import backups
from intellirouter.config.load import load
from intellirouter.errors import ConfigError
from intellirouter.inference.background import background
from intellirouter.ops.backup import forms, marks
from tests.ops.test_repository import node

DEADLINE = 60.0


async def until(condition: object) -> None:
    end = time.monotonic() + DEADLINE
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end
        await asyncio.sleep(0.05)


async def test_the_node_makes_it_tells_of_it_and_of_one_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node(tmp_path)
    file, data, to = tmp_path / "node.toml", tmp_path / "data", tmp_path / "to"
    with file.open("a") as more:
        more.write(f"[backup]\nto = '{to}'\nschedule = '* * * * *'\nkeep_days = 0\nkeep_monthly = 0\n")
    loaded = load(file, {})
    dues: list[float] = []

    def soon(_: str, after: float) -> float:
        dues.append(after)
        return after + (0.01 if len(dues) <= 2 else 3600)

    monkeypatch.setattr(backups, "next_time", soon)
    with capture_logs() as logs:
        async with (
            background(**backups.clocks(loaded.settings.backup, data, file)),
            background(
                **backups.clocks(loaded.settings.backup, data, file)
            ),  # another process of the directory
        ):
            await until(lambda: len(dues) == 3)
    assert [entry["event"] for entry in logs] == ["backup.done", "backup.done"], logs
    assert len([*forms.backups(to)]) == 1  # the first was let go when the second was there
    made = marks.read(data)
    assert made.backup is not None
    assert made.failed is None
    assert time.time() - made.backup.at < DEADLINE

    to.rename(tmp_path / "gone")
    to.write_text("a file where the directory was")
    dues.clear()
    with capture_logs() as logs:
        async with background(**backups.clocks(loaded.settings.backup, data, file)):
            await until(lambda: len(dues) == 3)
    assert {entry["event"] for entry in logs} == {"backup.failed"}
    assert "is a file" in logs[0]["reason"]
    failed = marks.read(data)
    assert failed.failed is not None
    assert "is a file" in failed.failed.reason
    assert failed.backup == made.backup


def test_the_clock_is_the_machines() -> None:
    after = datetime(2026, 3, 31, 12, 30).astimezone().timestamp()
    assert datetime.fromtimestamp(backups.next_time("30 3 * * *", after)) == datetime(2026, 4, 1, 3, 30)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("schedule = '* * *'\nto = 'x'", "cron expression"),
        ("schedule = '61 * * * *'\nto = 'x'", "cron expression"),
        ("schedule = '@daily-ish'\nto = 'x'", "cron expression"),
        ("schedule = '30 3 * * *'", "backup.to: is needed"),
        ("to = 'x'\nrecipients = 'a'\npassphrase_file = 'b'", "one of the two"),
        ("to = 'x'\nrecipients = 'a'\ndrill_schedule = '0 5 * * sun'", "backup.identity: is needed"),
    ],
)
def test_what_does_not_hold_is_said(text: str, words: str, tmp_path: Path) -> None:
    file = tmp_path / "node.toml"
    file.write_text(f"[backup]\n{text}\n")
    with pytest.raises(ConfigError, match=words):
        load(file, {})
