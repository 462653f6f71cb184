"""A real HAProxy that runs the file under packaging/, with the addresses of a test in it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

CONFIG = Path(__file__).parents[2] / "packaging/haproxy/haproxy.cfg"


def require_haproxy() -> str:
    """The program's path; skips where it is not installed, except in CI, where that is an error."""
    path = shutil.which("haproxy", path=os.environ["PATH"] + ":/usr/sbin")
    if path is None:
        if os.environ.get("CI"):
            raise RuntimeError("haproxy is not installed")
        pytest.skip("haproxy is not installed")
    return path


class Haproxy:
    """A balancer in front of two routers."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket

    async def states(self) -> dict[str, str]:
        """What it holds of each server: `UP`, `DOWN`, `DOWN 1/2`…"""
        reader, writer = await asyncio.open_unix_connection(str(self._socket))
        writer.write(b"show stat\n")
        lines = (await reader.read()).decode().splitlines()
        writer.close()
        names = lines[0].lstrip("# ").split(",")
        rows = [dict(zip(names, line.split(","), strict=False)) for line in lines[1:] if line]
        return {row["svname"]: row["status"] for row in rows if row["svname"].startswith("router")}

    async def until(self, server: str, state: str) -> None:
        """Return when it holds the server to be so."""
        deadline = time.monotonic() + 60
        known: dict[str, str] = {}
        while known.get(server) != state:
            assert time.monotonic() < deadline, (server, state, known)
            await asyncio.sleep(0.02)
            with contextlib.suppress(ConnectionError):  # it closes those that are slow to ask
                known = await self.states()


@contextlib.asynccontextmanager
async def haproxy(
    directory: Path, port: int, certificate: Path, routers: Sequence[int]
) -> AsyncIterator[Haproxy]:
    """HAProxy on `port` in front of two local ports; checks come five times as often as in the packaged file."""
    # the name of a Unix socket has at most 107 characters, and a test's folder may have more
    short = tempfile.mkdtemp(prefix="ha-")
    socket = Path(short) / "s"
    text = CONFIG.read_text()
    for old, new in (
        ("/run/haproxy/admin.sock", str(socket)),
        ("bind *:443", f"bind 127.0.0.1:{port}"),
        ("ssl crt /etc/ssl/intellirouter.pem", "ssl crt " + str(certificate)),
        ("router1.example.com:8080", f"127.0.0.1:{routers[0]}"),
        ("router2.example.com:8080", f"127.0.0.1:{routers[1]}"),
        ("inter 1s", "inter 200ms"),
        ("maxconn 20000", "maxconn 2000"),
    ):
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    file = directory / "haproxy.cfg"
    file.write_text(text)
    process = await asyncio.create_subprocess_exec(
        *(require_haproxy(), "-db", "-f", str(file)), stderr=asyncio.subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 60
        while not socket.exists():
            assert process.returncode is None, "haproxy ended"
            assert time.monotonic() < deadline, "haproxy made no socket"
            await asyncio.sleep(0.02)
        yield Haproxy(socket)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        shutil.rmtree(short)
