"""Imports IntelliRouter and forks for each connection on the socket named: `python -m tests.servers.warm.server SOCKET`.

A connection sends one message, `{"arguments", "folder", "environment", "session", "umask"}` as JSON behind its length in four bytes, with the descriptors of
standard input, output and error. It is answered the pid and, at the end, what `waitpid` said, each a line. Who hangs up before has it killed.
Ends when its own standard input does.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import io
import json
import os
import pkgutil
import selectors
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any

import intellirouter
from tests.servers.warm import children

_NOT_HERE = ("intellirouter.__main__",)
_HEAVY = ("chromadb", "chromadb.api.rust")
"""What IntelliRouter imports where it is used."""


def serve(path: str) -> dict[str, Any] | None:
    """Serve until standard input ends. In a forked process returns what it is to do, with everything else let go."""
    waking, woken = os.pipe()
    os.set_blocking(woken, False)
    signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(path)
    listener.listen(128)
    children: dict[int, socket.socket] = {}
    with selectors.DefaultSelector() as selector:
        for source in (listener, waking, 0):
            selector.register(source, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is listener:
                    wanted = _begun(listener, children, selector)
                    if wanted is not None:
                        for end in (listener, *children.values()):
                            end.close()
                        os.close(waking)
                        os.close(woken)
                        return wanted
                elif key.fileobj == waking:
                    os.read(waking, 4096)
                    _reap(children, selector)
                elif key.fileobj == 0:
                    if not os.read(0, 4096):
                        return None
                else:
                    _hung_up(key.fileobj, children, selector)


def _begun(
    listener: socket.socket, children: dict[int, socket.socket], selector: selectors.BaseSelector
) -> dict[str, Any] | None:
    connection, _ = listener.accept()
    data, descriptors, _, _ = socket.recv_fds(connection, 4, 3)
    length = int.from_bytes(data)
    whole = b""
    while len(whole) < length and (part := connection.recv(length - len(whole))):
        whole += part
    wanted: dict[str, Any] = json.loads(whole)
    child = os.fork()
    if child == 0:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        connection.close()
        selector.close()
        for number, descriptor in enumerate(descriptors):
            os.dup2(descriptor, number)
        for descriptor in descriptors:
            os.close(descriptor)
        return wanted
    for descriptor in descriptors:
        os.close(descriptor)
    children[child] = connection
    connection.sendall(b"%d\n" % child)
    selector.register(connection, selectors.EVENT_READ)
    return None


def _reap(children: dict[int, socket.socket], selector: selectors.BaseSelector) -> None:
    while True:
        try:
            child, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if child == 0:
            return
        connection = children.pop(child)
        with contextlib.suppress(KeyError):  # who asked is gone
            selector.unregister(connection)
        with contextlib.suppress(OSError):
            connection.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))
        connection.close()


def _hung_up(connection: Any, children: dict[int, socket.socket], selector: selectors.BaseSelector) -> None:
    selector.unregister(connection)
    child = next(pid for pid, known in children.items() if known is connection)
    os.kill(child, signal.SIGKILL)  # it is not reaped yet, so that the pid is its own


def import_all() -> None:
    """Every module there is; what an extra is missing for is left out."""
    for found in pkgutil.walk_packages(intellirouter.__path__, "intellirouter."):
        if found.name not in _NOT_HERE:
            with contextlib.suppress(ImportError):
                importlib.import_module(found.name)
    for name in _HEAVY:
        importlib.import_module(name)


def become(wanted: dict[str, Any]) -> None:
    """Take on the arguments, environment, folder and streams of the process that was asked for."""
    if wanted["session"]:
        os.setsid()
    os.chdir(wanted["folder"])
    os.umask(wanted["umask"])
    os.environ.clear()
    os.environ.update(wanted["environment"])
    time.tzset()  # which is looked up once
    sys.argv = ["intellirouter", *wanted["arguments"]]
    sys.stdin = io.TextIOWrapper(open(0, "rb", closefd=False), "utf-8")  # noqa: SIM115  they last as long as the process
    for name, number in (("stdout", 1), ("stderr", 2)):
        raw = open(number, "wb", closefd=False)  # noqa: SIM115
        lines = number == 2 or os.isatty(number)
        errors = "backslashreplace" if number == 2 else "strict"
        setattr(sys, name, io.TextIOWrapper(raw, "utf-8", errors, line_buffering=lines))


if __name__ == "__main__":
    import_all()
    gc.freeze()
    task = serve(sys.argv[1])
    if task is not None:
        become(task)
        if task["arguments"][:2] == ["-m", children.CHROMA]:
            sys.exit(importlib.import_module(children.CHROMA).main(Path(task["arguments"][2])))
        children.fork_from(lambda: sys.orig_argv[-1])
        importlib.import_module("intellirouter.cli.main").main()
