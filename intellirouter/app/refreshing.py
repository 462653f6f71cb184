"""Secrets that live elsewhere, while a node runs: looked at again before they expire, and taken over by a reload."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog
from aiohttp import web

from intellirouter.config.sources.keeper import Keeper
from intellirouter.web.probes import PartHealth

LEAST_SECONDS, MOST_SECONDS = 0.5, 3_600.0

log = structlog.get_logger(__name__)


async def refreshing(keeper: Keeper, reload: Callable[[], None]) -> None:
    """Look at the sources when it is time, and have the configuration read anew where a secret is another now."""
    told: set[str] = set()
    while True:
        await asyncio.sleep(min(max(keeper.wait_seconds(), LEAST_SECONDS), MOST_SECONDS))
        if await asyncio.to_thread(keeper.refresh):
            log.info("secrets.changed")
            reload()
        failing = set(keeper.failing())
        for one in failing - told:
            log.warning("secrets.source_away", source=one)
        told = failing


def secrets_health(keeper: Keeper, _app: web.Application) -> PartHealth:
    """Degraded while a source is away and its last value serves."""
    failing = keeper.failing()
    if not failing:
        return PartHealth("healthy")
    return PartHealth(
        "degraded", f"the last values serve, as these cannot be read: {'; '.join(failing)}"[:1_000]
    )
