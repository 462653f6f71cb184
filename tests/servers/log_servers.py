"""What takes log lines: real rsyslogd and systemd-journald, and the native journal protocol read on a socket of the test."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.servers.ports import free_port

SECONDS = 60
JOURNALD = "/usr/lib/systemd/systemd-journald"
_TEMPLATE = "%pri%\t%timestamp:::date-rfc3339%\t%hostname%\t%app-name%\t%procid%\t%msgid%\t%structured-data%\t%msg%\\n"


async def until(found: Callable[[], Any]) -> Any:
    """What `found` gives, once it is something."""
    async with asyncio.timeout(SECONDS):
        while not (value := found()):  # noqa: ASYNC110  what a file holds sets no event
            await asyncio.sleep(0.02)
    return value


@dataclass(frozen=True)
class Rsyslog:
    """Where it listens, and the file it writes: a line a message, its parts between tabs."""

    unix: Path
    udp: int
    tcp: int
    file: Path

    def lines(self) -> list[list[str]]:
        text = self.file.read_text() if self.file.exists() else ""
        return [line.split("\t") for line in text.splitlines() if line.count("\t") >= 7]


@contextlib.asynccontextmanager
async def rsyslog(folder: Path) -> AsyncIterator[Rsyslog]:
    """A real rsyslogd."""
    there = Rsyslog(folder / "log.socket", free_port(), free_port(), folder / "syslog.txt")
    conf = folder / "rsyslog.conf"
    conf.write_text(
        f'global(workDirectory="{folder}")\n'
        'module(load="imudp")\nmodule(load="imptcp")\nmodule(load="imuxsock" SysSock.Use="off")\n'
        f'input(type="imuxsock" Socket="{there.unix}" UseSpecialParser="off" RateLimit.Interval="0")\n'
        f'input(type="imudp" port="{there.udp}" address="127.0.0.1")\n'
        f'input(type="imptcp" port="{there.tcp}" address="127.0.0.1")\n'
        f'template(name="parts" type="string" string="{_TEMPLATE}")\n'
        f'action(type="omfile" file="{there.file}" template="parts")\n'
    )
    process = await asyncio.create_subprocess_exec(
        "/usr/sbin/rsyslogd",
        "-n",
        "-f",
        str(conf),
        "-i",
        str(folder / "rsyslog.pid"),
        stderr=subprocess.DEVNULL,
    )
    try:
        await until(lambda: there.unix.exists() and _listens(there.tcp))
        yield there
    finally:
        process.terminate()
        await process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


@contextlib.asynccontextmanager
async def journald(folder: Path) -> AsyncIterator[tuple[Path, Callable[[], list[dict[str, Any]]]]]:
    """A real journal of its own namespace: its socket, and what reads its entries. Needs root."""
    namespace = f"intellirouter-test-{os.getpid()}"
    process = await asyncio.create_subprocess_exec(
        JOURNALD, namespace, env={**os.environ, "RUNTIME_DIRECTORY": str(folder)}, stderr=subprocess.DEVNULL
    )

    def entries() -> list[dict[str, Any]]:
        words = ("journalctl", f"--namespace={namespace}", "-o", "json", "--all", "--no-pager", "--quiet")
        text = subprocess.run(words, capture_output=True, check=False).stdout
        return [json.loads(line) for line in text.splitlines()]

    try:
        await until((folder / "socket").exists)
        yield folder / "socket", entries
    finally:
        process.terminate()
        await process.wait()
        for place in (Path("/var/log/journal"), Path("/run/log/journal")):
            for kept in place.glob(f"*.{namespace}"):
                shutil.rmtree(kept, ignore_errors=True)


@contextlib.contextmanager
def journal_socket(path: Path) -> Iterator[Callable[[], list[dict[str, bytes]]]]:
    """A datagram socket, and what reads the entries that came to it, also those in files that were handed over."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.setblocking(False)
        listening.bind(str(path))
        found: list[dict[str, bytes]] = []

        def read() -> list[dict[str, bytes]]:
            with contextlib.suppress(BlockingIOError):
                while True:
                    data, files, _, _ = socket.recv_fds(listening, 1 << 20, 1)
                    for descriptor in files:
                        assert not data
                        data = os.pread(descriptor, 1 << 30, 0)
                        os.close(descriptor)
                    found.append(native(data))
            return found

        yield read


def native(data: bytes) -> dict[str, bytes]:
    """The fields of an entry in the journal's native protocol."""
    fields = {}
    while data:
        line, _, data = data.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:
            size = int.from_bytes(data[:8], "little")
            value, end, data = data[8 : 8 + size], data[8 + size : 9 + size], data[9 + size :]
            assert end == b"\n"
        assert name.isascii()
        assert name.decode().replace("_", "A").isalnum()
        assert name == name.upper()
        assert name[:1] not in b"_0123456789"
        assert len(name) <= 64
        assert name not in fields
        fields[name.decode()] = value
    return fields
