"""What fits where the cursor is, for the scripts of `completion.py`: commands, options, and the words an option takes.

The words come in `COMP_WORDS`, one a line, and the number of the one under the cursor in `COMP_CWORD`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import typer
from typer.main import get_command

from intellirouter.config import env

ASKED = "_INTELLIROUTER_COMPLETE"
_MOST = 200


def answer(build: Callable[[str | None], typer.Typer]) -> None:
    """Print what fits, one a line: `words`, `described` (`word:help`, as zsh has it) or `tabbed`."""
    environment = env.current()
    words = environment.get("COMP_WORDS", "").split("\n")
    number = environment.get("COMP_CWORD", "")
    place = int(number) if number.isdecimal() else 0
    before, under = words[1:place], words[place] if 0 < place < len(words) else ""
    form = environment[ASKED]
    for word, about in [*_fitting(build, before, under)][:_MOST]:
        if form == "described":
            typer.echo(f"{word.replace(':', chr(92) + ':')}:{about}" if about else word.replace(":", "\\:"))
        else:
            typer.echo(f"{word}\t{about}" if form == "tabbed" and about else word)


def _fitting(
    build: Callable[[str | None], typer.Typer], before: list[str], under: str
) -> Iterator[tuple[str, str]]:
    """What may stand under the cursor and begins so, each with a few words about it."""
    found = _reached(build, before)
    if found is None:
        return
    command, context, taking = found
    offered: Iterator[tuple[str, str]]
    if taking is not None:
        offered = _choices(taking, context, under)
    elif under.startswith("-"):
        offered = _options(command, context)
    elif hasattr(command, "list_commands"):
        names = (name for name in command.list_commands(context) if name.startswith(under))
        offered = ((name, _first(command.get_command(context, name).help)) for name in names)
    else:
        arguments = (one for one in command.params if one.param_type_name == "argument")
        offered = (word for one in arguments for word in _choices(one, context, under))
    yield from ((word, about) for word, about in offered if word.startswith(under))


def _reached(build: Callable[[str | None], typer.Typer], before: list[str]) -> tuple[Any, Any, Any] | None:
    """The command that the words before the cursor lead to, its context, and the option that waits for its value."""
    called = next((word for word in before if not word.startswith("-")), None)
    command: Any = get_command(build(called))
    context: Any = typer.Context(command, info_name="intellirouter")
    taking = None
    for word in before:
        if taking is not None:
            taking = None
        elif word.startswith("-"):
            option = _option(command, word.partition("=")[0])
            taking = option if option is not None and not option.is_flag and "=" not in word else None
        elif hasattr(command, "get_command"):
            inner = command.get_command(context, word)
            if inner is None:
                return None
            command, context = inner, typer.Context(inner, info_name=word, parent=context)
    return command, context, taking


def _options(command: Any, context: Any) -> Iterator[tuple[str, str]]:
    for one in command.get_params(context):
        if one.param_type_name == "option" and not one.hidden:
            for name in (*one.opts, *one.secondary_opts):
                if name.startswith("--"):
                    yield name, _first(one.help)


def _option(command: Any, name: str) -> Any:
    return next((one for one in command.params if name in (*one.opts, *one.secondary_opts)), None)


def _choices(parameter: Any, context: Any, under: str) -> Iterator[tuple[str, str]]:
    """The words that a parameter takes, where it takes only certain ones."""
    for found in parameter.shell_complete(context, under):
        if getattr(found, "type", "plain") == "plain":
            yield str(getattr(found, "value", found)), getattr(found, "help", None) or ""


def _first(text: str | None) -> str:
    return (text or "").strip().partition("\n")[0].partition(". ")[0].rstrip(".")
