"""The judge of speed runs from end to end, with and without wrk and nginx. What it measures is not held here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.benchmarks.report import TOLERANCE, regressions


@pytest.mark.parametrize("tools", ["with what is installed", "without wrk and nginx"])
def test_a_short_run(tools: str, tmp_path: Path) -> None:
    environment = dict(os.environ)
    if tools.startswith("without"):
        environment["PATH"] = str(tmp_path)
    out = tmp_path / "run.json"
    command = [
        sys.executable,
        "-m",
        "scripts.benchmarks",
        "--cases",
        "chat",
        "--rounds",
        "1",
        "--seconds",
        "1",
    ]
    done = subprocess.run(
        [*command, "--json", str(out)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    run = json.loads(out.read_text())
    figures = run["cases"]["chat"]["figures"]
    assert figures["router_rps"] > 0
    assert figures["router_failed"] == 0
    assert sum(run["cases"]["chat"]["ratios"].values()) > 0
    if tools.startswith("without"):
        assert any("wrk" in note for note in run["facts"]["notes"])
        assert any("nginx" in note for note in run["facts"]["notes"])


def test_a_ratio_that_fell_is_a_regression() -> None:
    def run(ratio: float) -> dict[str, object]:
        return {"cases": {"chat": {"figures": {}, "ratios": {"router_to_nginx": ratio}}}}

    assert regressions(run(1.0 - TOLERANCE + 0.01), run(1.0)) == []
    assert regressions(run(1.0 - TOLERANCE - 0.01), run(1.0)) != []
    assert regressions({"cases": {}}, run(1.0)) == []
