"""The times of runs in a SQLite file have fractions of a second, whatever Python runs: below 3.12 dbos asks it for whole ones.

What took a moment would else have taken 0 ms, or a second too little.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from dbos._sys_db import SystemDatabase

_of_dbos = SystemDatabase._now_ms_sql  # noqa: SLF001  it has no setting for it, and is pinned


def fine_clock() -> None:
    """From here on dbos notes milliseconds in this process; `engine.py` sees to it that every SQLite knows the word."""
    SystemDatabase._now_ms_sql = _now  # type: ignore[method-assign]  # noqa: SLF001


def _now(self: SystemDatabase) -> Any:
    if self.engine.dialect.name == "sqlite":
        return sa.cast(sa.func.unixepoch("subsec") * 1000, sa.BigInteger)
    return _of_dbos(self)
