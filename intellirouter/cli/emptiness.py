"""No command takes an empty name, path, address or text: a script's variable that is not set would else mean something else, such as all
there is, the directory one is in, or a path of the API.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import typer
from typer.main import get_command

from intellirouter.errors import InvalidRequest

MEANT = frozenset({("init", "--backups")})
"""Options to which an empty text says something: see their help."""


def refuse_empty(arguments: Sequence[str], build: Callable[[str | None], typer.Typer]) -> None:
    """Raises `InvalidRequest` that names the argument or option which is empty."""
    if all(
        word.partition("=")[2].strip() if word.startswith("--") and "=" in word else word.strip()
        for word in arguments
    ):
        return  # nearly always, and nothing is imported for it
    command, rest = _called(arguments, build)
    positions = iter(one for one in command.params if one.param_type_name == "argument")
    options = {name: one for one in command.params if one.param_type_name != "argument" for name in one.opts}
    flags = {"--help", *(name for one in options.values() for name in one.secondary_opts)}
    last, waiting, literal = None, "", False
    for word in rest:
        if waiting:
            _check(arguments[0], waiting, word)
            waiting = ""
        elif not literal and word == "--":
            literal = True
        elif not literal and word.startswith("-") and len(word) > 1:
            name, equals, value = word.partition("=")
            if equals and name.startswith("--"):
                _check(arguments[0], name, value)
            elif name in options and not options[name].is_flag:
                waiting = name
            elif name not in (*flags, *options):
                return  # there is no such option, which is said elsewhere
        else:
            last = next(positions, last)
            name = f"'{last.name}'" if last is not None else "an argument"
            _check(arguments[0], name, word, needed=last is None or last.required)


def _check(command: str, name: str, value: str, *, needed: bool = False) -> None:
    if value.strip() or (command, name) in MEANT:
        return
    raise InvalidRequest(
        f"{name} is empty: give it a value{'' if needed else ', or leave it out'}.", param=name
    )


def _called(
    arguments: Sequence[str], build: Callable[[str | None], typer.Typer]
) -> tuple[Any, Sequence[str]]:
    """The command that the first words name, and what comes behind them."""
    called = next((word for word in arguments if not word.startswith("-")), None)
    command: Any = get_command(build(called))
    for place, word in enumerate(arguments):
        inner = (
            command.get_command(typer.Context(command), word) if hasattr(command, "list_commands") else None
        )
        if inner is None:
            return command, arguments[place:]
        command = inner
    return command, ()
