"""The shipped chains hold and run on the offline provider, through the command line."""

import asyncio
import json
import os
import subprocess
from pathlib import Path

import pytest

from intellirouter.chains.check import check
from intellirouter.chains.described import undescribed
from intellirouter.chains.drawing.mermaid import mermaid
from intellirouter.chains.schema import SCHEMA
from intellirouter.chains.source import read
from intellirouter.chains.trial import cases_of, tried
from intellirouter.cli.main import main
from tests.servers.warm.process import warm_command

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "config" / "chains").glob("*.yaml"))

CASES = sorted((ROOT / "config" / "chains" / "cases").glob("*.yaml"))
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
        [*warm_command(), "chain", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**kept, "PYTHONPATH": str(ROOT), "INTELLIROUTER__PATHS__DATA_DIR": str(folder)},
    )


def test_every_example_has_inputs_here() -> None:
    tested = {file.stem for file in CASES}
    assert [example.stem for example in EXAMPLES] == sorted({*INPUTS, *tested})


@pytest.mark.parametrize("cases", CASES, ids=lambda path: path.stem)
def test_the_cases_of_an_example_hold(cases: Path) -> None:
    chain = check(read((cases.parents[1] / cases.name).read_text(), cases.name))
    for number, case in enumerate(cases_of(read(cases.read_text(), cases.name).data), 1):
        verdict = asyncio.run(tried(chain, {}, case, number))
        assert verdict.problem == "", verdict.name


def test_a_new_chain_is_valid_tested_and_writes_over_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def said(*arguments: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as ended:
            main(["chain", *arguments])
        return int(ended.value.code or 0), "".join(capsys.readouterr())

    made = ("new", "mine", "--from", "triage", "--folder", str(tmp_path))
    assert said(*made)[0] == 0
    assert said("validate", f"{tmp_path}/mine.yaml") == (0, "1 valid\n")
    assert "3 of 3 hold" in said("test", f"{tmp_path}/mine.yaml", f"{tmp_path}/mine.cases.yaml")[1]
    assert json.loads((tmp_path / "chain.schema.json").read_text())["title"]
    assert "there already" in said(*made)[1]
    assert "no example" in said("new", "other", "--from", "none", "--folder", str(tmp_path))[1]
    assert "no name" in said("new", "Not A Name", "--folder", str(tmp_path))[1]
    code, listed = said("new")
    assert (code, all(example.stem in listed for example in EXAMPLES)) == (0, True)


def test_every_key_of_a_definition_is_described_for_editors() -> None:
    assert list(undescribed(SCHEMA)) == []


@pytest.mark.parametrize(
    "example", [each for each in EXAMPLES if each.stem in INPUTS], ids=lambda path: path.stem
)
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
