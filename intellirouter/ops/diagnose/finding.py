"""What a check found."""

from __future__ import annotations

from enum import IntEnum

import msgspec


class Level(IntEnum):
    """How bad it is; the worst is the exit code."""

    OK = 0
    WARNING = 1
    PROBLEM = 2


class Finding(msgspec.Struct, frozen=True):
    """One fact about one thing. `advice` says what to do, and is empty when all is well; `place` is the address it is about."""

    area: str
    name: str
    level: Level
    message: str
    advice: str = ""
    place: str = ""

    def shown(self) -> dict[str, str]:
        """The finding for machines, its level as a word."""
        return {
            "area": self.area,
            "name": self.name,
            "level": self.level.name.lower(),
            "message": self.message,
            "advice": self.advice,
        }
