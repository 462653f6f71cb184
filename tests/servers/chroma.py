"""A real Chroma server on a free loopback port, stopped by its own pid."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp

from tests.servers.ports import free_port


@contextlib.asynccontextmanager
async def chroma_server(
    directory: Path, port: int | None = None
) -> AsyncIterator[tuple[str, asyncio.subprocess.Process]]:
    """Its URL and process. Give `port` to start again where another one was."""
    port = port or free_port()
    words = ("run", "--path", str(directory), "--host", "127.0.0.1", "--port", str(port))
    process = await asyncio.create_subprocess_exec(
        *(str(Path(sys.executable).parent / "chroma"), *words),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        async with asyncio.timeout(60), aiohttp.ClientSession() as session:
            while True:
                with contextlib.suppress(aiohttp.ClientError):
                    async with session.get(f"{url}/api/v2/heartbeat") as response:
                        if response.status == 200:
                            break
                await asyncio.sleep(0.05)
        yield url, process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
