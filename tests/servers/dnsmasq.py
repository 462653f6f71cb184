"""A real DNS server: dnsmasq, for SRV records that change."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence

import pytest

from tests.servers.ports import free_port

TTL = 1


class Dnsmasq:
    """Answers for `*.test` on a loopback port; `records` are (name, host, port, priority, weight)."""

    def __init__(self) -> None:
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def serve(self, *records: tuple[str, str, int, int, int]) -> None:
        """Answer with these records, in place of the last ones."""
        self.stop()
        words = [
            _program(),
            "--no-daemon",
            f"--port={self.port}",
            "--listen-address=127.0.0.1",
            "--bind-interfaces",
        ]
        words += [
            "--no-resolv",
            "--no-hosts",
            "--local=/test/",
            f"--local-ttl={TTL}",
            "--conf-file=/dev/null",
        ]
        words += ["--user=", "--pid-file="]
        words += [
            f"--srv-host={name},{host},{port},{priority},{weight}"
            for name, host, port, priority, weight in records
        ]
        self._process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while not self._listens():
            assert self._process.poll() is None, "dnsmasq ended"
            assert time.monotonic() < deadline, "dnsmasq does not listen"
            time.sleep(0.02)

    def _listens(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
            return True
        return False

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            self._process = None


def _program() -> str:
    path = shutil.which("dnsmasq", path=os.environ["PATH"] + ":/usr/sbin:/sbin")
    if path is None:
        if os.environ.get("CI"):
            pytest.fail("dnsmasq is not installed: apt-get install dnsmasq-base")
        pytest.skip("dnsmasq is not installed: apt-get install dnsmasq-base")
    return path


@contextlib.contextmanager
def dnsmasq(*records: tuple[str, str, int, int, int]) -> Iterator[Dnsmasq]:
    server = Dnsmasq()
    try:
        server.serve(*records)
        yield server
    finally:
        server.stop()


def records(name: str, *servers: Sequence[int]) -> list[tuple[str, str, int, int, int]]:
    """Lines of one name for servers on this machine: (port, priority, weight)."""
    return [(name, "localhost", port, priority, weight) for port, priority, weight in servers]
