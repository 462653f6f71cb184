"""What a person reads when a command fails, and the exit code: the one place for every command.

A mistake is a sentence. What nobody foresaw is a sentence too, with the way to see more: a traceback tells a user nothing,
and one that shows local variables tells everybody else the secrets among them.
"""

from __future__ import annotations

import subprocess
import sys
import traceback
from collections.abc import Iterator

import typer

from intellirouter.config import env
from intellirouter.counts import counted
from intellirouter.errors import IntelliRouterError

INTERRUPTED = 130
UNFORESEEN = 70
"""EX_SOFTWARE of sysexits.h."""


def told(error: BaseException, command: str | None) -> int:
    """Say what happened on standard error; the exit code."""
    causes = list(_plain(error))
    foreseen = [cause for cause in causes if isinstance(cause, IntelliRouterError)]
    if foreseen:
        return _refused(foreseen[0])
    first = causes[0]
    if isinstance(first, KeyboardInterrupt):
        return INTERRUPTED
    if isinstance(first, BrokenPipeError):  # `| head` has seen enough
        sys.stderr.close()
        return 0
    if isinstance(first, UnicodeDecodeError):
        typer.echo("error: a file is not UTF-8 text.", err=True)
        return 1
    if isinstance(first, OSError) and first.strerror:
        where = f"{first.filename}: " if first.filename is not None else ""
        typer.echo(f"error: {where}{first.strerror}.", err=True)
        return 1
    if isinstance(first, subprocess.CalledProcessError):
        typer.echo(
            f"error: {first.cmd[0] if first.cmd else 'a program'} ended with {first.returncode}.", err=True
        )
        return 1
    return _unforeseen(error, first, command)


def _plain(error: BaseException) -> Iterator[BaseException]:
    """The errors of a group, however deep."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _plain(inner)
    else:
        yield error


def _refused(error: IntelliRouterError) -> int:
    problems = error.details.get("problems") or ()
    if len(problems) > 1:
        typer.echo("\n".join(problems), err=True)
        typer.echo(f"error: {counted(len(problems), 'problem')}.", err=True)
    else:
        typer.echo(f"error: {error.message}", err=True)
    return error.exit_code


def _unforeseen(error: BaseException, first: BaseException, command: str | None) -> int:
    """A node's end belongs into its log in full; whoever typed a command asks for it."""
    if command == "run" or env.wants_traceback():
        traceback.print_exception(error)
    words = str(first).partition("\n")[0][:300]
    typer.echo(f"error: {type(first).__name__}: {words}", err=True)
    typer.echo(
        "This should not have happened. INTELLIROUTER_TRACEBACK=1 shows where; please report it.", err=True
    )
    return UNFORESEEN
