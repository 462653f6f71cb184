"""Parse a file in a process of its own, bounded in memory, time and output."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from pathlib import Path

import msgspec

from intellirouter.errors import InvalidRequest
from intellirouter.roles.rag_manager.chunking import Block


@dataclass(frozen=True, slots=True)
class ParseLimits:
    """`memory` and `output` in bytes, `seconds` of CPU and (twice that) of time."""

    memory: int = 1 << 30
    seconds: int = 60
    output: int = 256 << 20


async def parse_file(file: Path, name: str, limits: ParseLimits) -> tuple[str, list[Block]]:
    """The document's title and blocks. Raises `InvalidRequest` saying why the document cannot be read."""
    words = (str(file), name, str(limits.memory), str(limits.seconds), str(limits.output))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "intellirouter.roles.rag_manager.parsing.child", *words),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(2 * limits.seconds):
            output, _ = await process.communicate()
    except TimeoutError as cause:
        raise InvalidRequest(f"'{name}' was not read within {2 * limits.seconds} s.") from cause
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if not output:
        raise InvalidRequest(
            f"'{name}' exceeds the limits of parsing ({limits.seconds} s, {limits.memory >> 20} MiB)."
        )
    answer = await asyncio.to_thread(msgspec.json.decode, output)
    if "error" in answer:
        raise InvalidRequest(f"'{name}': {answer['error']}")
    return answer["title"], [Block(*block) for block in answer["blocks"]]
