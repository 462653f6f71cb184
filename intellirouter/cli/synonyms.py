"""Words that mean the same: a group which has one of them takes the other, too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import typer
from typer.main import get_command

SAME = {"ls": "list", "list": "ls"}


def understood(arguments: Sequence[str], build: Callable[[str | None], typer.Typer]) -> list[str]:
    """The arguments with the word that there is in place of one that means the same."""
    found = list(arguments)
    if not SAME.keys() & set(found):
        return found  # nothing is imported for it
    command: Any = get_command(build(next((word for word in found if not word.startswith("-")), None)))
    for place, word in enumerate(found):
        if not hasattr(command, "list_commands"):
            break
        context = typer.Context(command)
        inner = command.get_command(context, word)
        if inner is None and word in SAME:
            found[place] = SAME[word]
            inner = command.get_command(context, SAME[word])
        if inner is None:
            return list(arguments)
        command = inner
    return found
