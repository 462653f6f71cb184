"""The configuration of another orchestrator, read line by line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from intellirouter.app.rules import RULES
from intellirouter.cli.main import main
from intellirouter.config.load import load
from intellirouter.config.orchestrator_yaml import MAX_CHARACTERS, imported
from intellirouter.errors import InvalidRequest

GUIDE = Path(__file__).with_name("orchestrator.yaml")
SET = {
    name: f"{name.lower()}-0123456789abcdef"
    for name in ("TEST_BENCH_SECRET", "AUTO_OPTIMIZER_SECRET", "GOVERNANCE_SECRET", "ANTHROPIC_API_KEY", "OPENAI_API_KEY")
}  # fmt: skip


def test_every_line_of_the_guides_file_becomes_something_or_says_why_not(tmp_path: Path) -> None:
    text = GUIDE.read_text()
    found = imported(text)
    values = [
        number
        for number, line in enumerate(text.splitlines(), 1)
        if line.split("#")[0].strip() and not line.split("#")[0].rstrip().endswith(":")
    ]
    assert [each.line for each in found.lines] == values
    assert all(each.becomes or each.note for each in found.lines)
    assert not [each.key for each in found.lines if each.note == "is not known"]
    settings = found.settings
    assert settings["chain_engine"]["mode"] == "api"
    assert settings["chain_engine"]["max_running"] == 100
    assert settings["chain_engine"]["default_timeout_seconds"] == 3600
    assert settings["chain_engine"]["hooks"]["auto-optimizer"]["batch_size"] == 100
    assert settings["chain_engine"]["hooks"]["governance"]["on_error"] == "closed"
    assert settings["memory"]["redis_url"] == "redis://localhost:6379"
    assert {each["name"] for each in settings["model_registry"]["providers"]} == {"anthropic", "openai"}


def test_what_is_written_is_a_configuration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "ours.toml"
    # the guide's certificates are not on this machine
    source = tmp_path / "orchestrator.yaml"
    source.write_text("\n".join(line for line in GUIDE.read_text().splitlines() if "_file:" not in line))

    def said(*arguments: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as ended:
            main(["config", "import", *arguments])
        return int(ended.value.code or 0), capsys.readouterr().out

    code, text = said(str(source), "--output", str(file))
    assert (code, "not." in text) == (0, True)
    loaded = load(file, SET, {}, RULES)
    assert loaded.settings.chain_engine.hooks["test-bench"].kind == "evaluate"
    assert loaded.settings.telemetry.trace_sample_rate == 0.1
    assert said(str(source), "--output", str(file))[0] != 0  # it is there already
    code, text = said(str(source), "--json")
    assert json.loads(text)["lines"][0]["key"] == "server.mode"
    assert said(str(tmp_path / "gone.yaml"))[0] != 0


@pytest.mark.parametrize("text", ["", "- a", "a: [", "just text", "x" * 1_000_001])
def test_what_is_no_such_file_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        imported(text)


def test_a_file_may_be_as_long_as_is_said() -> None:
    text = "server: {port: {http: 9}}\n".ljust(MAX_CHARACTERS, "\n")
    assert imported(text).lines


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ("mystery: 1", "is not known"),
        ("server: {port: {http: many}}", "has no such value"),
        ("cache: {ttl: soon}", "is no duration such as 30s"),
        ("database: {url: 'sqlite:///x.db'}", "a node's own file is chains.db in paths.data_dir"),
        ("execution: {scheduler: {max_parallel_workflows: [1]}}", "has no such value"),
    ],
)
def test_what_cannot_be_taken_says_why(text: str, note: str) -> None:
    (told,) = imported(text).lines
    assert (told.becomes, told.note) == ("", note)
