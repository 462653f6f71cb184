"""Bodies no sane client sends: never a 500, never a traceback, never a hang, always the dialect's own envelope.

A short form of `python -m scripts.fuzz_bodies`, which sends a thousand to each endpoint.
"""

from __future__ import annotations

import aiohttp
import pytest

from tests.conftest import StartNode, StartVendor
from tests.roles.router.fuzz.bodies import ENDPOINTS
from tests.roles.router.fuzz.campaign import config, fuzz, vendor

EACH = 60


async def test_fuzzed_bodies_are_refused_in_the_dialects_own_words(
    start_node: StartNode,
    start_vendor: StartVendor,
    http: aiohttp.ClientSession,
    caplog: pytest.LogCaptureFixture,
) -> None:
    node = await start_node(config((await start_vendor(vendor)).url))
    for endpoint in ENDPOINTS:
        seen, harms = await fuzz(http, node.listening[0].url, endpoint, EACH)
        assert not harms
        assert seen[200], endpoint.path
        assert seen.total() > seen[200], endpoint.path
    assert "Traceback" not in caplog.text
