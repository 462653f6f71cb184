"""Thresholds of a budget: told once in a period, and again after it was raised or begins anew."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from intellirouter.inference.limits.terms import BudgetTerm
from intellirouter.inference.limits.thresholds import CHANNEL, Thresholds, reached
from intellirouter.memory.embedded.store import EmbeddedStore


async def test_a_threshold_is_told_once_in_a_period_and_again_in_the_next(tmp_path: Path) -> None:
    now = time.time()
    purse: Any = SimpleNamespace(key="b", limit=10.0, window=0.0, left=10.0, remaining=lambda _: purse.left)
    budget, heard = BudgetTerm(purse, "total", "key:ann"), list[int]()
    store = await EmbeddedStore(tmp_path / "state.db").open()
    thresholds = Thresholds(store)

    async def spent(left: float) -> list[int]:
        purse.left = left
        thresholds.spent(budget)
        async with store.subscribe(CHANNEL) as events:
            await thresholds.look()
            await store.publish(CHANNEL, b'{"percent": 0}')
            async with asyncio.timeout(60):
                async for event in events:
                    heard.append(json.loads(event.payload)["percent"])
                    if not heard[-1]:
                        break
        told, heard[:] = heard[:-1], []
        return told

    try:
        assert [await spent(left) for left in (9, 5, 4.9, 1.5, 1.4, 0)] == [[], [50], [], [80], [], [100]]
        assert [one.percent for one in await reached(store, now)] == [100]
        purse.limit = 100.0  # raised, of which a tenth is used
        assert await spent(90) == []
        assert await reached(store, now) == []
        assert [await spent(left) for left in (50, 49)] == [[], []]
        purse.window = 3_600.0  # another period, which has its own
        assert [await spent(left) for left in (50, 49)] == [[50], []]
    finally:
        await store.aclose()
