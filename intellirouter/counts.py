"""Numbers of things as people read them."""

from __future__ import annotations


def counted(number: int, one: str, more: str = "") -> str:
    """`1 model`, `2 models`, `1,200 models`; `more` is what is said of another number than one, where that is not `one` with an s."""
    return f"{number:,} {one if number == 1 else more or f'{one}s'}"
