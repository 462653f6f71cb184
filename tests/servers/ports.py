"""Free ports for servers that must be told one."""

from __future__ import annotations

import itertools
import os
import socket

FIRST, EACH = 20_000, 1_500


def _own() -> itertools.cycle[int]:
    """This test process' own, from somewhere in the middle.

    They lie below those that the system gives to outgoing connections: one of these may be taken between the look and the start.
    """
    worker = int("0" + "".join(filter(str.isdigit, os.environ.get("PYTEST_XDIST_WORKER", ""))))
    first = FIRST + EACH * (worker % 8)
    begin = os.getpid() % EACH
    return itertools.cycle([*range(first + begin, first + EACH), *range(first, first + begin)])


_PORTS = _own()


def free_port() -> int:
    """A port nobody listens on now, and that nobody gets by chance."""
    for port in itertools.islice(_PORTS, EACH):
        with socket.socket() as probe:
            probe.setsockopt(
                socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
            )  # one that is only being let go is free
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError("no free ports")
