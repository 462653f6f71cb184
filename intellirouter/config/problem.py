"""What is wrong with a configuration, and where."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """`where` is a file and line, a variable or a flag; `path` the dotted key; `advice` what to do."""

    where: str
    path: str
    message: str
    advice: str = ""

    def __str__(self) -> str:
        head = ": ".join(part for part in (self.where, self.path, self.message) if part)
        return f"{head} {self.advice}".rstrip()


def dotted(path: tuple[str | int, ...]) -> str:
    """`("model_registry", "providers", 0, "name")` as `model_registry.providers[0].name`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text
