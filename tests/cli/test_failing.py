"""What is read when a command fails, and its exit code."""

from __future__ import annotations

import io
import subprocess

import pytest

from intellirouter.cli.failing import INTERRUPTED, UNFORESEEN, told
from intellirouter.errors import ConfigError, NotFound

WORDS: list[tuple[BaseException, int, str]] = [
    (BrokenPipeError(), 0, ""),
    (KeyboardInterrupt(), INTERRUPTED, ""),
    (NotFound("There is no such chain."), NotFound.exit_code, "error: There is no such chain.\n"),
    (
        ExceptionGroup("a", [OSError(2, "No such file"), ExceptionGroup("b", [ConfigError("It is wrong.")])]),
        ConfigError.exit_code,
        "error: It is wrong.\n",
    ),
    (
        ConfigError("two", problems=["one is wrong", "another too"]),
        ConfigError.exit_code,
        "one is wrong\nanother too\nerror: 2 problems.\n",
    ),
    (ConfigError("It is wrong.", problems=["x"]), ConfigError.exit_code, "error: It is wrong.\n"),
    (OSError(2, "No such file", "a.txt"), 1, "error: a.txt: No such file.\n"),
    (OSError(28, "No space left"), 1, "error: No space left.\n"),
    (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "x"), 1, "error: a file is not UTF-8 text.\n"),
    (subprocess.CalledProcessError(3, ["tar", "x"]), 1, "error: tar ended with 3.\n"),
    (subprocess.CalledProcessError(3, []), 1, "error: a program ended with 3.\n"),
    (
        ZeroDivisionError("by zero\nand more"),
        UNFORESEEN,
        "error: ZeroDivisionError: by zero\nThis should not",
    ),
]


@pytest.mark.parametrize(("error", "code", "words"), WORDS, ids=lambda one: str(one)[:30])
def test_a_failure_is_a_sentence_and_a_code(
    error: BaseException, code: int, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Kept(io.StringIO):
        def close(self) -> None:
            """What was said is still to be read."""

    said = Kept()
    monkeypatch.delenv("INTELLIROUTER_TRACEBACK", raising=False)
    monkeypatch.setattr("sys.stderr", said)
    assert told(error, "status") == code
    assert said.getvalue() == words or (code == UNFORESEEN and said.getvalue().startswith(words))
