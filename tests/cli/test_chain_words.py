"""Runs and steps as `intellirouter chain` shows them on 80 columns."""

from __future__ import annotations

import time
from typing import Any

import pytest

from intellirouter.cli.chain_words import print_runs, standing, step_line


def run(**more: Any) -> dict[str, Any]:
    now = time.time()
    told = {"id": "run_1", "chain": "c", "status": "succeeded", "created_at": now - 1, "ended_at": now}
    return {**told, "waiting_for": None, "error": None, **more}


def test_a_run_of_an_edge_has_one_line_and_its_whole_id(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    own = f"warehouse-north-7:run_{'0a' * 12}"
    runs = [run(id=own, chain="the-name-of-this-chain-is-long"), run(id="x" * 93, status="cancelled")]
    for shown in (runs[:1], runs):
        print_runs(shown)
        lines = capsys.readouterr().out.splitlines()
        assert len(lines) == 1 + len(shown)
        assert all(one["id"] in line for one, line in zip(shown, lines[1:], strict=True))
        assert len(shown) == 2 or max(map(len, lines)) <= 80


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({}, "run_1 succeeded."),
        ({"status": "running"}, "run_1 is running."),
        ({"status": "queued"}, "run_1 waits in line."),
        ({"status": "waiting", "waiting_for": "approval"}, "run_1 waits for 'approval'."),
        ({"status": "waiting"}, "run_1 waits until its time has come."),
        ({"status": "failed", "error": {"code": "timeout", "message": "It took long."}}, "run_1 failed: It took long."),
        ({"status": "cancelled", "error": {"code": "cancelled", "message": "The run was cancelled."}}, "run_1 was cancelled."),
    ],
)  # fmt: skip
def test_how_a_run_stands_is_a_sentence(more: dict[str, Any], told: str) -> None:
    assert standing(run(**more)) == told


def test_a_step_is_a_line_that_is_cut_but_for_why_it_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    step = {"number": 3, "path": "a.b", "kind": "llm", "started_at": 1.0, "ended_at": 1.25, "cached": False}
    long = "word\n" * 40 + "\x1b[31m"
    line = step_line({**step, "outcome": {"ok": {"text": long}}})
    assert line.startswith("   3 a.b  llm 250 ms  word word")
    assert (len(line), line[-1]) == (80, "…")
    assert step_line({**step, "outcome": {"ok": {"rows": [1]}}}).endswith('  {"rows":[1]}')
    assert step_line({**step, "outcome": {"ok": {"text": long}}}, heard=True) == "   3 a.b  llm 250 ms"
    failed = step_line({**step, "outcome": {"error": {"code": "x", "message": "why " * 40}}})
    assert failed.count("why") == 40
    monkeypatch.delenv("COLUMNS")
    assert step_line({**step, "outcome": {"ok": {"text": long}}}).count("word") == 40
