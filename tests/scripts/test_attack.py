"""The short form of `scripts/attack`."""

from __future__ import annotations

import asyncio
import json
import sys

import pytest

from tests.servers.process import ROOT


@pytest.mark.parametrize(("form", "requests"), [("one", 450), ("grpc", 250)])
async def test_an_installation_holds_against_odd_values_on_every_route(form: str, requests: int) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "scripts.attacks", "--form", form),
        *("--requests", str(requests), "--seed", "3", "--json"),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(170):
        out, _ = await process.communicate()
    found = json.loads(out)
    held = {
        name: verdict for name, verdict in found.items() if "wait" not in name
    }  # of a busy machine, nothing is said
    assert all(verdict["held"] for verdict in held.values()), found
