"""Tests of a limit per minute must not straddle two minutes."""

from __future__ import annotations

import asyncio
import time

MINUTE = 60.0


async def room_in_this_minute(needed: float = 15.0) -> None:
    """Return when the present minute of the clock has `needed` seconds left, at the start of the next one if need be.

    Limits count by the minutes of the wall clock, so this is a wait for a known moment, never longer than `needed`.
    """
    left = MINUTE - time.time() % MINUTE
    if left < needed:
        await asyncio.sleep(left + 0.05)
