"""Calls commands of the CLI in this process, each as a user would, and prints what came of them as JSON. Run by a test."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys

from intellirouter.cli.main import main


def call(arguments: list[str]) -> dict[str, object]:
    """Exit code, and everything that was printed."""
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding="utf-8", write_through=True)
    code: object = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        try:
            main(arguments)
        except SystemExit as end:
            code = end.code
        except BaseException as error:  # noqa: BLE001  that is the fault that is looked for
            code = f"{type(error).__name__}: {error}"
    return {"arguments": arguments, "code": code, "printed": raw.getvalue().decode()}


if __name__ == "__main__":
    result = os.dup(1)
    os.dup2(2, 1)  # what a library prints past sys.stdout is no result
    found = [call(arguments) for arguments in json.load(sys.stdin)]
    os.write(result, json.dumps(found).encode())
