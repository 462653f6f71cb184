"""The shipped chains hold and run on the offline provider, through the command line."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from intellirouter.chains.check import check
from intellirouter.chains.drawing.mermaid import mermaid
from intellirouter.chains.source import read

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "config" / "chains").glob("*.yaml"))

INPUTS = {
    "rag-answer": ["-i", "question=What is a chain?"],
    "plan-research-write": ["-i", "topic=tea"],
    "map-reduce-summary": ["-i", 'parts=["The sky is blue.", "Grass is green."]'],
    "judge-loop": ["-i", "task=Say hello."],
    "approval": ["-i", "request=Hello", "--signal", 'approval={"ok": true, "by": "ann"}'],
    "ensemble-vote": ["-i", "question=Why?"],
}


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    kept = {key: value for key, value in os.environ.items() if not key.endswith(("_API_KEY", "_TOKEN"))}
    return subprocess.run(
        [sys.executable, "-m", "intellirouter", "chain", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**kept, "PYTHONPATH": str(ROOT), "INTELLIROUTER__PATHS__DATA_DIR": str(folder)},
    )


def test_every_example_has_inputs_here() -> None:
    assert [example.stem for example in EXAMPLES] == sorted(INPUTS)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs(example: Path, tmp_path: Path) -> None:
    done = run(tmp_path, "run", str(example), "--json", *INPUTS[example.stem])
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["output"]
    assert result["output_tokens"] > 0
    assert mermaid(check(read(example.read_text()))).startswith("flowchart TD\n")


def test_a_bad_definition_ends_with_its_lines_and_code_2(tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text(
        "chain: {name: bad}\nsteps:\n  - {id: a, set: {x: nope}}\n  - {id: b, chain: {name: gone}}\n"
    )
    done = run(tmp_path, "validate", str(bad))
    assert done.returncode == 2
    assert f"{bad}:3: steps[0].set.x: There is no 'nope' here." in done.stdout


def test_a_failed_step_and_a_missing_signal_end_with_their_codes(tmp_path: Path) -> None:
    failing = tmp_path / "failing.yaml"
    failing.write_text("chain: {name: f}\nsteps:\n  - {id: a, tool: {name: none}}\n")
    failed = run(tmp_path, "run", str(failing))
    assert (failed.returncode, "Step 'a' failed" in failed.stderr) == (1, True)
    waiting = run(tmp_path, "run", str(ROOT / "config/chains/approval.yaml"), "-i", "request=x")
    assert "--signal approval=JSON" in waiting.stderr
    assert waiting.returncode != 0
