"""The first commands of somebody new: init at a terminal, status, completion in real shells, loadtest."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from intellirouter.cli.load_steps import Bend, Step, find, step
from intellirouter.cli.main import main
from intellirouter.ops.backup import marks
from tests.servers.process import command, node_process
from tests.servers.vendor import Play, Vendor

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
DEADLINE = 60.0
HIDDEN = ("Key of compatible",)


def at_terminal(
    arguments: list[str], answers: list[tuple[str, str]], directory: Path, **environment: str
) -> str:
    """Run the command on a pseudo-terminal and give each answer when its question is there; what was shown."""
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(directory)
        os.execve(
            sys.executable,
            [sys.executable, "-m", "intellirouter", *arguments],
            {"PATH": os.environ["PATH"], "HOME": str(directory), "PYTHONPATH": str(ROOT), **environment},
        )
    shown, at, until = "", 0, time.monotonic() + DEADLINE
    try:
        for question, answer in answers:
            while question not in shown[at:]:
                part = _heard(terminal, until)
                assert part, f"it ended before it asked '{question}': {shown}"
                shown += part
            at = shown.index(question, at) + len(question)
            while question in HIDDEN and termios.tcgetattr(terminal)[3] & termios.ECHO:
                assert time.monotonic() < until, shown
                time.sleep(0.01)  # what is typed before the echo is off is thrown away with it
            os.write(terminal, f"{answer}\n".encode())
        while part := _heard(terminal, until):
            shown += part
    except BaseException:
        os.kill(child, signal.SIGKILL)
        raise
    finally:
        _, status = os.waitpid(child, 0)
        os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 0, shown
    return shown


def _heard(terminal: int, until: float) -> str:
    """What the program says next; nothing when it ended. Raises `TimeoutError`."""
    if not select.select([terminal], [], [], max(0.0, until - time.monotonic()))[0]:
        raise TimeoutError("the program asks nothing")
    try:
        return os.read(terminal, 4096).decode()
    except OSError:  # the terminal is gone with the process
        return ""


async def test_ten_answers_make_a_configuration_that_starts(tmp_path: Path) -> None:
    models = Play.json({"object": "list", "data": [{"id": "small", "object": "model"}]})
    async with Vendor(models).running() as vendor:
        shown = await asyncio.to_thread(
            at_terminal,
            ["init"],
            [
                ("Directory for the configuration", ""),
                ("Providers (", "compatible"),
                ("Its address", vendor.url),
                ("Key of compatible", "sk-planted-key"),
                ("other machines", "n"),
                ("Port", "0"),
                ("its data", str(tmp_path / "data")),
                ("production", "n"),
                ("clients need a key", "y"),
                ("Backups", str(tmp_path / "backups")),
            ],
            tmp_path,
        )
        assert "takes the key" in shown
        assert "planted" not in shown
        file, secrets = tmp_path / "config/intellirouter.toml", tmp_path / "config/intellirouter.env"
        assert secrets.stat().st_mode & 0o777 == 0o600
        assert "planted" not in file.read_text()
        variables = {"COMPATIBLE_API_KEY": "sk-planted-key"}
        assert "COMPATIBLE_API_KEY='sk-planted-key'" in secrets.read_text()
        code, said, err = await command("validate-config", "--config", str(file), environment=variables)
        assert code == 0, said + err
        key = shown.partition("shown this once: ")[2].split()[0]
        async with node_process("--config", str(file), environment=variables) as node:
            url = await node.url()
            code, said, err = await command(
                "models", "list", "--json", "--url", url, "--api-key", key, environment=variables
            )
            assert code == 0, err
            assert any(model["id"].startswith("compatible/") for model in json.loads(said))
            code, said, err = await command("status", "--config", str(file), "--json", environment=variables)
            assert code == 0, said + err
            report = json.loads(said)
            assert {row["role"] for row in report["nodes"]} >= {"Router", "ChainEngine"}
            marks.failed(tmp_path / "data", "the disk is full")
            code, said, _ = await command("status", "--config", str(file), environment=variables)
            assert code == 1
            assert "failed: the disk is full" in said
            assert max(map(len, said.splitlines())) <= 80
        code, said, _ = await command("status", "--config", str(file), environment=variables)
        assert (code, "Nothing runs on" in said) == (3, True)


def called(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[object, str]:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    printed = capsys.readouterr()
    return ended.value.code, printed.out + printed.err


def test_without_questions_flags_say_it_and_nothing_is_replaced_unasked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-planted")
    to = ("init", "--to", str(tmp_path / "c"), "--yes", "--no-try")
    assert called(capsys, *to, "-p", "openai", "--backups", "")[0] == 0
    text = (tmp_path / "c/intellirouter.toml").read_text()
    assert 'api_key_env = "OPENAI_API_KEY"' in text
    code, said = called(capsys, *to)
    assert (code, "--force" in said) == (2, True)
    assert (tmp_path / "c/intellirouter.toml").read_text() == text
    monkeypatch.delenv("OPENAI_API_KEY")
    for words, told in (
        (("-p", "openai"), "has no OPENAI_API_KEY"),
        (("-p", "nobody"), "no provider 'nobody'"),
        (("-p", "compatible"), "--endpoint"),
        (("-p", "compatible", "--endpoint", "nowhere"), "endpoint"),
    ):
        code, said = called(capsys, *to, "--force", *words)
        assert code != 0, words
        assert told in said
    monkeypatch.setenv("OPENAI_API_KEY", "sk'; rm -rf /")
    assert "is none" in called(capsys, *to, "--force", "-p", "openai")[1]
    assert (tmp_path / "c/intellirouter.toml").read_text() == text


COMPLETED = [
    (["chain", "s"], {"schema", "show", "start", "status", "signal", "schedule", "schedules"}),
    (["bac"], {"backup"}),
    (["backup", "prune", "--keep-w"], {"--keep-weekly", "--keep-within"}),
    (["completion", ""], {"bash", "zsh", "fish"}),
    (["nope", ""], set()),
]


@pytest.mark.parametrize(("words", "wanted"), COMPLETED, ids=[" ".join(words) for words, _ in COMPLETED])
@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_shells_complete(shell: str, words: list[str], wanted: set[str], tmp_path: Path) -> None:
    program = shutil.which(shell)
    if program is None:
        if os.environ.get("CI"):
            raise RuntimeError(f"{shell} is not installed: apt-get install {shell}")
        pytest.skip(f"{shell} is not installed: apt-get install {shell}")
    line = " ".join(f"'{word}'" for word in ["intellirouter", *words])
    if shell == "bash":
        script = f"""eval "$(intellirouter completion bash)"
COMP_WORDS=({line}); COMP_CWORD={len(words)}
_intellirouter intellirouter; printf '%s\\n' "${{COMPREPLY[@]}}" """
    else:
        # the function as a completion calls it; what it would offer is printed by the test
        script = f"""compdef() {{ :; }}
_files() {{ :; }}
_describe() {{ print -l -- "${{found[@]%%:*}}"; }}
eval "$(intellirouter completion zsh)"
words=({line}); CURRENT={len(words) + 1}
_intellirouter"""
    done = subprocess.run(
        [program, *(("--norc",) if shell == "bash" else ("-f",)), "-c", script],
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        cwd=tmp_path,
        env={"PATH": f"{BIN}:{os.environ['PATH']}", "HOME": str(tmp_path)},
    )
    assert done.stderr == ""
    assert set(done.stdout.split()) == wanted


async def test_the_bend_is_found_where_a_queue_begins() -> None:
    """Of a server that answers one after another in 10 ms: it bends at some 100/s, wherever this machine's own noise lies."""
    busy = asyncio.Lock()

    async def ask() -> bool:
        async with busy:
            await asyncio.sleep(0.01)
        return True

    found = await find(ask, 0.5, lambda _: None)
    assert found.bends is not None
    assert found.holds < 130
    assert found.steps[-1].sent


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ({100: 0.010, 120: 0.012, 150: 0.015, 200: 0.020}, 160),
        ({100: 0.017, 200: 0.030}, 100),  # never beyond what was seen
        ({100: 0.004, 200: 0.012}, 200),
        ({100: 0.010}, 141),  # none but one was answered
        ({}, 141),
    ],
)
def test_where_it_doubles_is_on_the_line_through_all_steps(at: dict[float, float], expected: float) -> None:
    between = [Step(rate, [seconds] * 50) for rate, seconds in at.items()]
    found = Bend(0.008, 100, 200, [], between).doubles
    assert found is not None
    assert round(found) == expected


async def test_what_is_not_answered_counts_and_does_not_hold_the_clock() -> None:
    async def never() -> bool:
        await asyncio.sleep(0.2)
        return False

    found = await step(never, 200.0, 0.5)
    assert (found.sent, found.errors, found.failing) == (100, 100, True)
    assert found.percentile(0.99) == float("inf")


async def test_a_node_is_measured(tmp_path: Path) -> None:
    file = tmp_path / "node.toml"
    file.write_text(f"[paths]\ndata_dir = '{tmp_path}/data'\n[server]\nport = 0\n")
    async with node_process("--role", "Router", "--config", str(file)) as node:
        words = ("loadtest", "--url", await node.url(), "--rate", "20", "--seconds", "1")
        code, said, err = await command(*words, "--json")
        assert code == 0, err
        report = json.loads(said)
        assert (report["sent"], report["errors"]) == (20, 0)
        assert 0 < report["p50_seconds"] <= report["p99_seconds"]
    code, _, err = await command("loadtest", "--url", "http://127.0.0.1:1")
    assert code != 0
    assert "no server answers" in err
