"""Where the roles of a process listen. Every port is taken before anything is opened, so that one that is taken already is said at once."""

from __future__ import annotations

import errno
import socket
from collections.abc import Sequence
from contextlib import ExitStack

from intellirouter.app.roles import RoleEntry
from intellirouter.config.load import Loaded
from intellirouter.errors import ConfigError


def port_of(entry: RoleEntry, loaded: Loaded, *, alone: bool) -> int:
    """`[roles.KEY] port`; else `[server] port` for a role that runs alone and for the Router; else the customary one.

    A `[server] port` of 0 asks a free port for every role.
    """
    server = loaded.settings.server
    own: int | None = getattr(loaded.settings.roles, entry.key).port
    if own is not None:
        return own
    given = loaded.source_of("server.port") != "default"
    if server.port == 0 and given:
        return 0
    return server.port if given and (alone or entry.name == "Router") else entry.port


def bound(
    stack: ExitStack, loaded: Loaded, entries: Sequence[RoleEntry], *, reuse_port: bool
) -> dict[str, list[socket.socket]]:
    """By role, its sockets: bound, and not listening yet. Raises `ConfigError` for an address that cannot be had."""
    found: dict[str, list[socket.socket]] = {}
    alone = len(entries) == 1
    for entry in entries:
        port = port_of(entry, loaded, alone=alone)
        try:
            sockets = _bind(stack, loaded.settings.server.host, port, reuse_port=reuse_port)
        except OSError as cause:
            raise _not_had(entry, loaded.settings.server.host, port, cause, alone=alone) from cause
        found[entry.name] = sockets
    return found


def _bind(stack: ExitStack, host: str, port: int, *, reuse_port: bool) -> list[socket.socket]:
    addresses = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    sockets: list[socket.socket] = []
    for family, kind, protocol, _, address in dict.fromkeys(addresses):
        try:
            one = stack.enter_context(socket.socket(family, kind, protocol))
        except OSError:  # a machine without IPv6
            if len(addresses) == 1:
                raise
            continue
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        # a free port that was asked for is the same on every address of the name
        free = sockets[0].getsockname()[1] if port == 0 and sockets else port
        one.bind((address[0], free, *address[2:]))
        one.setblocking(False)
        sockets.append(one)
    return sockets


PRIVILEGED = "Give it a port from 1024 on, or its unit AmbientCapabilities=CAP_NET_BIND_SERVICE."


def no_address(host: str, cause: OSError) -> str:
    """What is wrong with the host itself, empty where that is not why."""
    if isinstance(cause, socket.gaierror):
        return f"the name cannot be resolved ({cause.strerror})."
    if cause.errno == errno.EADDRNOTAVAIL:
        return f"{host} is no address of this machine."
    return ""


def _not_had(entry: RoleEntry, host: str, port: int, cause: OSError, *, alone: bool) -> ConfigError:
    flag = "--port" if alone or entry.name == "Router" else f"--port-{entry.key.replace('_', '-')}"
    if why := no_address(host, cause):
        return ConfigError(f"{entry.name} cannot listen on {host}:{port}: {why} Correct [server] host.")
    if isinstance(cause, PermissionError):
        return ConfigError(
            f"{entry.name} cannot listen on {host}:{port}: ports below 1024 are for root. {PRIVILEGED}"
        )
    return ConfigError(
        f"{entry.name} cannot listen on {host}:{port} ({cause.strerror or cause}). "
        f"Another port: {flag}, or [roles.{entry.key}] port; 0 takes a free one."
    )
