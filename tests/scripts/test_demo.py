"""The demo as somebody sees it who has enough of it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


async def test_whoever_interrupts_the_demo_sees_no_traceback() -> None:
    # where the tests run in the background of a shell, interrupts are passed over
    demo = await asyncio.create_subprocess_exec(
        "env", "--default-signal=INT", sys.executable, "-m", "scripts.routing_demo", cwd=ROOT, env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert demo.stdout is not None
    try:
        async with asyncio.timeout(120):
            assert b"right answers" in await demo.stdout.readline()
            demo.send_signal(signal.SIGINT)
            _, said = await demo.communicate()
    finally:
        if demo.returncode is None:
            demo.kill()
    assert (demo.returncode, said) == (130, b"")
