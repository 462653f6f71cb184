"""One kill of each part during ingestion; `scripts/crash_rag.py` is the long form."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.roles.rag_manager.crash import Part, crash
from tests.roles.rag_manager.crash_child import DOCUMENTS


@pytest.mark.parametrize("part", ["process", "store", "server"])
async def test_nothing_acknowledged_is_lost_and_nothing_doubled(tmp_path: Path, part: Part) -> None:
    for number, seconds in enumerate((0.15, 0.05, 0.0)):  # all may be over before a slow machine strikes
        report = await crash(tmp_path / str(number), part, seconds)
        if report.killed:
            break
    assert report.killed
    assert report.starts == (2 if part == "process" else 1)
    assert report.acknowledged == DOCUMENTS.keys()
    assert report.problems == []
