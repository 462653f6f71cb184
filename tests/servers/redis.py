"""Real Redis servers for the tests: one node, a master with a replica and Sentinels, a Cluster of three masters.

Started on free loopback ports with a directory of their own, stopped by their own pid.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.ports import free_port

START_DEADLINE = 60.0


def free_cluster_port() -> int:
    """A port whose bus port (10,000 above it) exists and is free too."""
    for port in range(17_000 + os.getpid() % 5_000, 40_000):
        with contextlib.suppress(OSError), socket.socket() as one, socket.socket() as two:
            one.bind(("127.0.0.1", port))
            two.bind(("127.0.0.1", port + 10_000))
            return port
    raise RuntimeError("no free ports")


def require_redis() -> str:
    """The server's path; skips where it is not installed, except in CI, where that is an error."""
    path = shutil.which("redis-server")
    if path is None:
        if os.environ.get("CI"):
            raise RuntimeError("redis-server is not installed")
        pytest.skip("redis-server is not installed")
    return path


class RedisServer:
    """One `redis-server` process that can be killed, frozen and started again with its data."""

    def __init__(
        self, directory: Path, *, port: int | None = None, options: tuple[str, ...] = (), mode: str = ""
    ) -> None:
        self.port = port or free_port()
        self.directory = directory
        self._options = options
        self._mode = mode
        self._process: subprocess.Popen[bytes] | None = None
        directory.mkdir(parents=True, exist_ok=True)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def start(self) -> RedisServer:
        """Start it and wait until it answers."""
        command = [require_redis()]
        if self._mode == "sentinel":
            command += [str(self.directory / "sentinel.conf"), "--sentinel"]
        else:
            command += [
                "--dir",
                str(self.directory),
                "--save",
                "",
                "--appendonly",
                "yes",
                "--appendfsync",  # "everysec" holds writes back behind a slow disk, and a kill would lose them
                "no",
                "--bind",
                "127.0.0.1",
            ]
        command += ["--port", str(self.port), *self._options]
        log = (self.directory / "server.log").open("ab")
        with log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + START_DEADLINE
        while not self.answers():
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise RuntimeError((self.directory / "server.log").read_text()[-2000:])
            time.sleep(0.02)
        return self

    def answers(self) -> bool:
        """True when it says PONG (or asks for a password)."""
        reply = self.command("PING")
        return reply.startswith((b"+PONG", b"-NOAUTH"))

    def command(self, *words: str) -> bytes:
        """Send one command over a new connection; the raw reply, empty when it does not answer."""
        data = b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(w), w.encode()) for w in words)
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=2) as connection:
                connection.sendall(data)
                return connection.recv(65_536)
        except OSError:
            return b""

    def kill(self) -> None:
        """`kill -9`, and wait until it is gone."""
        self._send(signal.SIGKILL)
        if self._process is not None:
            self._process.wait(10)
            self._process = None

    def freeze(self) -> None:
        """Stop answering without closing a connection, like a network that drops packets."""
        self._send(signal.SIGSTOP)

    def thaw(self) -> None:
        self._send(signal.SIGCONT)

    def _send(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)


@contextlib.contextmanager
def redis_server(directory: Path, *options: str) -> Iterator[RedisServer]:
    """One node."""
    server = RedisServer(directory, options=options).start()
    try:
        yield server
    finally:
        server.kill()


@contextlib.contextmanager
def redis_sentinel(directory: Path) -> Iterator[tuple[RedisServer, RedisServer, list[RedisServer]]]:
    """A master, its replica, and three Sentinels that call the master `mymaster` and fail over within seconds."""
    with contextlib.ExitStack() as stack:
        master = stack.enter_context(redis_server(directory / "master", "--repl-diskless-sync-delay", "0"))
        replica = stack.enter_context(
            redis_server(directory / "replica", "--replicaof", "127.0.0.1", str(master.port))
        )
        _wait(
            lambda: b"master_link_status:up" in replica.command("INFO", "replication"), "the replica to sync"
        )
        sentinels = []
        for number in range(3):
            home = directory / f"sentinel{number}"
            home.mkdir(parents=True)
            (home / "sentinel.conf").write_text(
                f"bind 127.0.0.1\ndir {home}\nsentinel monitor mymaster 127.0.0.1 {master.port} 2\n"
                "sentinel down-after-milliseconds mymaster 500\nsentinel failover-timeout mymaster 2000\n"
            )
            sentinel = RedisServer(home, mode="sentinel").start()
            stack.callback(sentinel.kill)
            sentinels.append(sentinel)
        for sentinel in sentinels:
            _wait(
                lambda s=sentinel: (
                    b"num-other-sentinels\r\n$1\r\n2" in s.command("SENTINEL", "MASTER", "mymaster")
                    and b"num-slaves\r\n$1\r\n1" in s.command("SENTINEL", "MASTER", "mymaster")
                ),
                "the Sentinels to find one another",
            )
        yield master, replica, sentinels


@contextlib.contextmanager
def redis_cluster(directory: Path) -> Iterator[list[RedisServer]]:
    """Three masters that share the 16,384 slots."""
    with contextlib.ExitStack() as stack:
        nodes: list[RedisServer] = []
        for number in range(3):
            options = ("--cluster-enabled", "yes", "--cluster-node-timeout", "2000")
            node = RedisServer(directory / f"node{number}", port=free_cluster_port(), options=options).start()
            stack.callback(node.kill)
            nodes.append(node)
        for number, node in enumerate(nodes):
            first, last = number * 16_384 // 3, (number + 1) * 16_384 // 3 - 1
            node.command("CLUSTER", "ADDSLOTSRANGE", str(first), str(last))
            node.command("CLUSTER", "SET-CONFIG-EPOCH", str(number + 1))
            node.command("CLUSTER", "MEET", "127.0.0.1", str(nodes[0].port))
        for node in nodes:
            _wait(
                lambda n=node: (
                    b"cluster_state:ok" in n.command("CLUSTER", "INFO")
                    and b"cluster_known_nodes:3" in n.command("CLUSTER", "INFO")
                ),
                "the Cluster to form",
            )
        yield nodes


def _wait(condition, what: str) -> None:  # type: ignore[no-untyped-def]
    deadline = time.monotonic() + START_DEADLINE
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(f"waited {START_DEADLINE} s for {what}")
        time.sleep(0.05)
