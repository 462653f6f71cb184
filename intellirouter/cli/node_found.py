"""Where the node is that no `--url` names.

The configuration, found as `run` finds it, says which data directory is meant, and the node that runs on it says where its
roles listen; where none runs, the configured address is tried.
"""

from __future__ import annotations

import contextlib
import ssl
from pathlib import Path

from intellirouter.app.listening import port_of
from intellirouter.app.node_files import running
from intellirouter.app.roles import ROLES
from intellirouter.cli.node_address import Address
from intellirouter.config import env
from intellirouter.config.load import Loaded, find_file, look
from intellirouter.errors import ConfigError

NEAR = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "[::]": "[::1]"}  # noqa: S104  compared, not bound
"""Every address of a machine is asked at its own."""


def found(role: str, config: Path | None) -> Address:
    """Where a role is to be asked."""
    entry = next(one for one in ROLES if one.name == role)
    loaded = _configuration(config, entry.file)
    if loaded is None:
        return Address(f"http://127.0.0.1:{entry.port}", "the customary address")
    trust = _trust(loaded)
    for node in _nodes(loaded.settings.paths.data_dir):
        if role in node:
            return Address(_near(node[role]), "a node that runs here", trust)
    server, security = loaded.settings.server, loaded.settings.ipc.security
    secure = server.tls is not None or (security.enabled and security.ca is not None)
    host = f"[{server.host}]" if ":" in server.host else server.host
    port = port_of(entry, loaded, alone=False) or entry.port
    source = str(loaded.file) if loaded.file else "the defaults"
    return Address(
        _near(f"{'https' if secure else 'http'}://{host}:{port}"), f"the address of {source}", trust
    )


def _configuration(config: Path | None, role_file: str) -> Loaded | None:
    """The configuration as far as it holds: a variable that is missing here does not hide where the node is."""
    environment = env.current()
    try:
        loaded, _ = look(find_file(config, environment, role_file), environment)
    except ConfigError:
        if config is not None:
            raise
        return None
    return loaded


def _nodes(data_dir: Path) -> list[dict[str, str]]:
    """By role, where each process on this data directory listens; none where it may not be read."""
    try:
        return [node.roles for node in running(data_dir)]
    except OSError:
        return []


def _near(url: str) -> str:
    scheme, _, rest = url.partition("://")
    host, _, port = rest.rpartition(":")
    return f"{scheme}://{NEAR.get(host, host)}:{port}"


def _trust(loaded: Loaded) -> ssl.SSLContext | None:
    """The authority of our own nodes, where they have one."""
    ca = loaded.settings.ipc.security.ca
    if ca is None:
        return None
    try:
        return ssl.create_default_context(cafile=str(ca))
    except OSError:
        return None


def all_found(
    config: Path | None,
) -> tuple[list[tuple[int, str, Address]], list[tuple[str, Address]], Path | None]:
    """What runs on the node's data directory (process, role, address), the roles elsewhere that it is told of, and the directory."""
    loaded = _configuration(config, ROLES[0].file)
    if loaded is None:
        return [], [], None
    trust, data_dir = _trust(loaded), loaded.settings.paths.data_dir
    here = []
    with contextlib.suppress(OSError):  # who may not read it sees none
        here = [
            (node.pid, role, Address(_near(url), "a node that runs here", trust))
            for node in running(data_dir)
            for role, url in sorted(node.roles.items())
        ]
    own = {role for _, role, _ in here}
    told = ((entry.name, getattr(loaded.settings.ipc, f"{entry.key}_endpoint", None)) for entry in ROLES)
    elsewhere = [
        (role, Address(str(url).rstrip("/"), "the configuration", trust))
        for role, url in told
        if url and role not in own
    ]
    return here, elsewhere, data_dir
