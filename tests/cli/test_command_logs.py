"""What our code logs while a command runs goes to standard error, from a warning on, and shows no secret."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import structlog

from intellirouter.cli.command_logs import quiet

PROGRAM = """
import sys
{first}
from intellirouter.cli.command_logs import quiet
with quiet():
    {within}
    import structlog
    log = structlog.get_logger("x")
    log.info("info.unseen")
    log.warning("warning.seen", password="planted")
    try:
        token = "planted-too"
        1 / 0
    except ZeroDivisionError:
        log.exception("error.seen")
    print("answer")
structlog.get_logger().info("as before")
"""


@pytest.mark.parametrize(
    ("first", "within"),
    [("", ""), ("import structlog", ""), ("", "import intellirouter.telemetry.logs")],
    ids=["imported within", "imported before", "by the logs of nodes"],
)
def test_standard_output_is_the_commands_own(first: str, within: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(first=first, within=within)],
        capture_output=True,
        text=True,
        timeout=60,
        env={"PYTHONPATH": str(Path(__file__).parents[2]), "NO_COLOR": "1"},
    )
    assert done.returncode == 0, done.stderr
    answer, after = done.stdout.splitlines()
    assert answer == "answer"
    assert "as before" in after
    assert "unseen" not in done.stderr
    assert "warning.seen" in done.stderr
    assert "ZeroDivisionError" in done.stderr
    assert "planted" not in done.stderr.replace('token = "planted-too"', "")


def test_what_was_set_up_before_is_given_back() -> None:
    before = structlog.get_config()
    with quiet():
        assert structlog.get_config()["logger_factory"] is not before["logger_factory"]
    assert structlog.get_config() == before


def test_a_store_that_is_away_leaves_the_output_to_machines(tmp_path: Path) -> None:
    file = tmp_path / "node.toml"
    file.write_text(
        f"[paths]\ndata_dir = '{tmp_path}/data'\n[memory]\nbackend_type = 'redis'\nredis_url = 'redis://127.0.0.1:1'\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "intellirouter", "keys", "list", "--json", "--config", str(file)],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=tmp_path,
        env={"PYTHONPATH": str(Path(__file__).parents[2]), "HOME": str(tmp_path)},
    )
    assert (done.returncode != 0, done.stdout) == (True, ""), done
    assert "error: " in done.stderr


def test_a_warning_has_no_colour_for_a_file_may_take_it(capsys: pytest.CaptureFixture[str]) -> None:
    with quiet():
        structlog.get_logger("x").warning("warning.seen", password="planted")
    said = capsys.readouterr().err
    assert "warning.seen" in said
    assert not {"planted", "\x1b"} & {word for word in ("planted", "\x1b") if word in said}
