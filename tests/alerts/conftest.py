"""Somebody who hears of alerts."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.alerts.heard import Heard


@pytest.fixture
async def heard() -> AsyncIterator[Heard]:
    async with Heard().running() as webhook:
        yield webhook
