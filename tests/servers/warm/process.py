"""A warm process as `asyncio.subprocess.Process` has it, as far as tests look at one."""

from __future__ import annotations

import asyncio
import atexit
import functools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[3]
_START_DEADLINE = 120.0


@functools.cache
def warm_socket() -> str:
    """Where this test process's server listens. It ends with this process, and so do its children with it."""
    folder = tempfile.mkdtemp(prefix="warm-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = f"{folder}/socket"
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.servers.warm.server", path],
        stdin=subprocess.PIPE,
        cwd=ROOT,
        env={**inherited, "OPENBLAS_NUM_THREADS": "1"},
    )
    deadline = time.monotonic() + _START_DEADLINE
    while not Path(path).exists():
        if server.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError("the warm process did not start")
        time.sleep(0.02)

    def end() -> None:
        assert server.stdin is not None
        server.stdin.close()
        server.wait(20)

    atexit.register(end)
    return path


def warm_command() -> list[str]:
    """The words that stand for `intellirouter` where a program runs to its end."""
    return [sys.executable, "-IS", str(Path(__file__).with_name("client.py")), warm_socket()]


class WarmProcess:
    """See `started`."""

    def __init__(self, pid: int, waiting: asyncio.Task[int]) -> None:
        self.pid = pid
        self.stdin: asyncio.StreamWriter | None = None
        self.stdout: asyncio.StreamReader
        self.stderr: asyncio.StreamReader
        self._waiting = waiting

    @property
    def returncode(self) -> int | None:
        """None while it runs; below zero the signal that ended it."""
        return self._waiting.result() if self._waiting.done() else None

    def send_signal(self, number: int) -> None:
        """To one that runs; nothing to one that ended."""
        if self.returncode is None:
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                return

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    async def wait(self) -> int:
        return await asyncio.shield(self._waiting)

    async def communicate(self) -> tuple[bytes, bytes]:
        """What it printed, to its end."""
        out, errors, _ = await asyncio.gather(self.stdout.read(), self.stderr.read(), self.wait())
        return out, errors


async def started(
    arguments: Sequence[str],
    *,
    folder: Path,
    environment: Mapping[str, str],
    session: bool = False,
    fed: bool = False,
    path: str | None = None,
) -> WarmProcess:
    """`intellirouter ARGUMENTS…` with pipes for what it prints, and one to what it reads where it is `fed`."""
    loop = asyncio.get_running_loop()
    path = path or await asyncio.to_thread(warm_socket)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.setblocking(False)
    await loop.sock_connect(connection, path)
    message = json.dumps(
        {
            "arguments": list(arguments),
            "folder": str(folder),
            "environment": dict(environment),
            "session": session,
            "umask": _umask(),
        }
    ).encode()
    (out, out_end), (errors, errors_end) = os.pipe(), os.pipe()
    source, feed = os.pipe() if fed else (os.open(os.devnull, os.O_RDONLY), None)
    ends = [source, out_end, errors_end]
    socket.send_fds(connection, [len(message).to_bytes(4)], ends)
    for end in ends:
        os.close(end)
    await loop.sock_sendall(connection, message)
    answers, line = await asyncio.open_connection(sock=connection)
    pid = int(await answers.readline())

    async def ended() -> int:
        try:
            return int(await answers.readline())
        finally:
            line.close()

    process = WarmProcess(pid, asyncio.create_task(ended()))
    process.stdout, process.stderr = await _read(out), await _read(errors)
    if feed is not None:
        process.stdin = await _write(feed)
    return process


def _umask() -> int:
    """This process'; the call that tells it sets it too."""
    status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    return int(status.partition("Umask:")[2].split()[0], 8)


async def _read(descriptor: int) -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(descriptor, "rb", 0)
    )
    return reader


async def _write(descriptor: int) -> asyncio.StreamWriter:
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.connect_write_pipe(
        asyncio.streams.FlowControlMixin, os.fdopen(descriptor, "wb", 0)
    )
    return asyncio.StreamWriter(transport, protocol, None, loop)
