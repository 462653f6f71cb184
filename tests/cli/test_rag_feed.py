"""Feeding files to a RagManager that is away for a while."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from intellirouter.cli import rag_feed
from intellirouter.errors import NotFound, PeerUnavailable


class Restarting:
    """Is away at the calls named by their number; what it has taken it keeps."""

    max_document_bytes = 1 << 20

    def __init__(self, away: set[int]) -> None:
        self.away = away
        self.calls = 0
        self.taken: Counter[str] = Counter()

    def _call(self) -> None:
        self.calls += 1
        if self.calls in self.away:
            raise PeerUnavailable("the RagManager starts again")

    async def submit(self, _tenant: str, _collection: str, name: str, _data: bytes) -> str:
        self._call()
        self.taken[name] += 1
        return name

    async def ended(self, _tenant: str, job: str) -> dict[str, Any]:
        self._call()
        if job not in self.taken:
            raise NotFound("there is no such job")
        return {"status": "ready", "error": None}


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    made = {f"{n}.md": tmp_path / f"{n}.md" for n in range(3)}
    for name, file in made.items():
        file.write_text(name)
    return made


async def test_a_restart_is_waited_for(files: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    service = Restarting({2, 3, 6})
    assert await rag_feed.feed(service, "t", "docs", files) == {"ready": 3}
    assert service.taken == dict.fromkeys(files, 1)
    assert capsys.readouterr().err.count("waiting: the RagManager starts again") == 2


class WithoutModel(Restarting):
    async def ended(self, _tenant: str, job: str) -> dict[str, Any]:
        reason = "'1.md' is empty." if job == "1.md" else "The embedding model is not on this node."
        return {"status": "failed", "error": reason}


async def test_what_is_wrong_with_the_node_is_said_once(
    files: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert await rag_feed.feed(WithoutModel(set()), "t", "docs", files) == {"failed": 3}
    said = capsys.readouterr().err
    assert said.count("is not on this node") == 1
    assert "'1.md' is empty." in said


async def test_an_absence_without_end_is_told(
    files: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rag_feed, "PATIENCE_SECONDS", 0.1)
    with pytest.raises(PeerUnavailable, match="starts again"):
        await rag_feed.feed(Restarting(set(range(1, 100))), "t", "docs", files)


async def test_what_changed_is_read_again_and_what_is_gone_is_named(files: dict[str, Path]) -> None:
    rows = [
        {
            "name": name,
            "status": "ready",
            "bytes": len(name),
            "sha256": hashlib.sha256(name.encode()).hexdigest(),
        }
        for name in (*files, "gone.md")
    ]
    rows[1]["status"] = "failed"
    rows[2]["sha256"] = "another"

    class Holding(Restarting):
        async def documents(self, _tenant: str, _collection: str) -> list[dict[str, Any]]:
            return rows

    new = {**files, "new.md": files["0.md"]}
    fresh, gone, count = await rag_feed.changed(Holding(set()), "t", "docs", new)
    assert (sorted(fresh), gone, count) == (["1.md", "2.md", "new.md"], ["gone.md"], 4)
