"""What whoever puts a backup back into a store asks about each key."""

from __future__ import annotations

from collections.abc import Container
from typing import Protocol


class Since(Protocol):
    """What happened since a backup was made, and is not undone by it."""

    def stays(self, key: str) -> bool:
        """Whether the value that is there now is the younger one."""

    def comes_back(self, key: str, there: Container[str]) -> bool:
        """Whether one of the backup that is not there now is put back; `there` are the keys that stay."""
