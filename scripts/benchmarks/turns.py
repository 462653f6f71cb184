"""What `in_turns` measured, as it lies in a file until the one who asked reads it."""

from __future__ import annotations

from pathlib import Path

import msgspec


class Turns(msgspec.Struct):
    """Microseconds of a processor a request, of the thread that answers, turn by turn: with the record and without; 0 where a turn had
    too few requests. `record_us` is what the thread of the record has spent in all, on `noted` requests."""

    on_us: list[float] = []
    off_us: list[float] = []
    noted: int = 0
    record_us: float = 0.0

    def write(self, file: Path) -> None:
        """In place of what is there."""
        fresh = file.with_suffix(".new")
        fresh.write_bytes(msgspec.json.encode(self))
        fresh.replace(file)

    @classmethod
    def read(cls, file: Path) -> Turns:
        """Raises `FileNotFoundError` before the first two turns."""
        return msgspec.json.decode(file.read_bytes(), type=cls)
