"""A group of commands that lie in several modules, of which the one that is called is imported."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from typer.core import TyperGroup
from typer.main import get_group


class PartsGroup(TyperGroup):
    """Knows of each command where it lies. `typer.Typer(cls=parts(…))` makes one."""

    lies_in: ClassVar[Mapping[str, str]] = {}
    """Command → the module whose `app` has it, in the order of the help, after those that the group has itself."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002  as click has it
        """Every name."""
        return [*(name for name in self.commands if name not in self.lies_in), *self.lies_in]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command, its module imported."""
        if cmd_name not in self.commands and cmd_name in self.lies_in:
            app: Any = importlib.import_module(self.lies_in[cmd_name]).app
            self.commands[cmd_name] = get_group(app).commands[cmd_name]
        return super().get_command(ctx, cmd_name)


def parts(lies_in: Mapping[str, Iterable[str]]) -> type[PartsGroup]:
    """A group of the commands that the modules have: module → names."""
    places = {name: module for module, names in lies_in.items() for name in names}
    return type("Parts", (PartsGroup,), {"lies_in": places})
