"""Lets the processes that own an embedded Chroma fork from the warm one: importing Chroma is a second of processor time, and every RagManager has one.

What a process of Chroma's is started with from nothing is shown by `roles/rag_manager/test_crash.py` and wherever IntelliRouter runs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.servers.warm.process import WarmProcess, started

CHROMA = "intellirouter.vectors.chroma.child"
_begin = asyncio.create_subprocess_exec


def fork_from(socket: Callable[[], str]) -> None:
    """From now on in this process. `socket` says where the warm process listens, and begins it where there is none."""

    async def begin(*words: Any, **how: Any) -> asyncio.subprocess.Process | WarmProcess:
        if words[1:3] != ("-m", CHROMA):
            return await _begin(*words, **how)
        path = await asyncio.to_thread(socket)
        return await started(
            words[1:], folder=Path.cwd(), environment=how["env"], session=True, fed=True, path=path
        )

    asyncio.create_subprocess_exec = begin  # type: ignore[assignment]
