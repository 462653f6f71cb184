"""What guards found in one request and its answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Report:
    """What was found in one request and its answer: kinds and places, never text."""

    found: dict[tuple[str, str, str], Counter[str]] = field(default_factory=dict)

    def note(self, guard: str, action: str, place: str, kinds: Iterable[str]) -> None:
        """Note findings of a guard, and what it did about them."""
        self.found.setdefault((guard, action, place), Counter()).update(kinds)

    def __bool__(self) -> bool:
        return bool(self.found)

    def shown(self) -> list[dict[str, Any]]:
        """For the record."""
        return [
            {"guard": guard, "action": action, "place": place, "kinds": dict(kinds)}
            for (guard, action, place), kinds in self.found.items()
        ]

    def header(self) -> str:
        """For the caller: `pii=mask-restore; email=2, injections=flag; injection=1`."""
        gathered: dict[tuple[str, str], Counter[str]] = {}
        for (guard, action, _), kinds in self.found.items():
            gathered.setdefault((guard, action), Counter()).update(kinds)
        return ", ".join(
            f"{guard}={action.replace(' ', '-')}"
            + "".join(f"; {kind}={count}" for kind, count in kinds.items())
            for (guard, action), kinds in gathered.items()
        )
