"""The short form of the soak: every request is answered, and memory does not run away."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "scripts" / "soak.py"


async def test_some_seconds_of_mixed_traffic() -> None:
    spec = importlib.util.spec_from_file_location("soak", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["soak"] = module
    spec.loader.exec_module(module)
    # a Router is not warm after some seconds: caches and pools still fill
    assert await module.soak(4, clients=4, tolerance=60) == 0
