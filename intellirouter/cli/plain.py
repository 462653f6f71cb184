"""Text that a terminal shows as it is: rich would take `[auth]` for a style and leave it out."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text


def cells(*values: object) -> list[Text]:
    """The cells of a row."""
    return [Text(str(value)) for value in values]


def warn(console: Console, problem: object, word: str = "warning") -> None:
    """One line that stands out by its first word."""
    console.print(Text.assemble((word, "bold yellow"), f" {problem}"), soft_wrap=True)
