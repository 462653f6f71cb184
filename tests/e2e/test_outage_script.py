"""The short form of `scripts/outage.py`: no request fails and the counters are right, however Redis is laid out."""

from __future__ import annotations

import importlib.util
import math
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "outage.py"


@pytest.mark.parametrize("case", ["sentinel", "cluster"])
async def test_a_redis_lost_under_load_fails_no_request(case: str) -> None:
    spec = importlib.util.spec_from_file_location("outage", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["outage"] = module
    spec.loader.exec_module(module)
    assert await module.play(case, seconds=0.5, rate=100, most=math.inf)
