"""A running process: what it serves, and what is made ready before it does."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import structlog
from aiohttp import web

from intellirouter.app import own_files
from intellirouter.app.certificates import Certificates
from intellirouter.app.component import Commit, Opened
from intellirouter.config import env
from intellirouter.config.load import Loaded
from intellirouter.config.redact import environment_secrets
from intellirouter.config.schema.settings import Settings
from intellirouter.config.weak_secrets import secrets_at
from intellirouter.errors import ConfigError
from intellirouter.ops.backup import journal
from intellirouter.security.key_names import check_file
from intellirouter.telemetry import logs
from intellirouter.telemetry.shipping import opening
from intellirouter.web.probes import Health

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Listening:
    """One role that serves."""

    role: str
    host: str
    port: int
    scheme: str = "http"

    @property
    def url(self) -> str:
        """The address as a URL."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


@dataclass(slots=True)
class Node:
    """A running process."""

    loaded: Loaded
    opened: Opened
    listening: list[Listening] = field(default_factory=list)
    health: list[Health] = field(default_factory=list)
    certificates: Certificates | None = None
    servers: dict[str, web.Server] = field(default_factory=dict)
    """What answers the HTTP requests of each role."""

    def cut(self) -> None:
        """End the connections of all requests that are under way."""
        connections = [one for server in self.servers.values() for one in server.connections]
        log.info("server.cut", connections=len(connections))
        for connection in connections:
            if connection.transport is not None:
                connection.transport.abort()

    def drain(self, drained: bool) -> None:
        """Make every role not ready, or ready again. It serves all the same."""
        for health in self.health:
            health.draining = drained
        log.info("node.drained" if drained else "node.undrained")


def prepare_logs(
    settings: Settings, role: str, *, ship: bool = True, started: Settings | None = None
) -> Commit:
    """Open the log that `[telemetry]` says, to be taken when all else holds. Raises `ConfigError`.

    `ship` is False for a process that forks: it has no threads, and its own few lines go to the log alone. `started` is what a node that
    runs was started with.
    """
    telemetry, collector = settings.telemetry, (started or settings).telemetry
    ships = None
    if ship and opening.wanted(telemetry, collector):
        # the addresses of stores hold passwords, and are no secrets by their type
        hidden = [secret for _, secret in secrets_at(settings)]
        ships = partial(opening.opened, telemetry, collector, [*hidden, *environment_secrets(env.current())])
    try:
        return logs.prepare(
            level=telemetry.log_level,
            levels=telemetry.log_levels,
            json=settings.logs_json,
            file=telemetry.log_file,
            role=role,
            most_alike=telemetry.log_most_alike,
            ecs_form=telemetry.log_format == "ecs",
            ships=ships,
            standard_error=ships is None or not opening.instead_of_stderr(telemetry.journald),
        )
    except OSError as cause:
        raise ConfigError(
            f"telemetry.log_file: {telemetry.log_file} cannot be opened ({cause.strerror})."
        ) from cause


def prepare_data_dir(settings: Settings) -> None:
    """Make the data directory, close what is in it to others, undo a restore that was killed. Raises `ConfigError`, `RestoreUnfinished`."""
    directory = settings.paths.data_dir
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        journal.repair(directory)
        own_files.close(directory)
        check_file(settings.security, directory)
    except FileExistsError as cause:
        if directory.is_symlink():
            told = f"is a link to {directory.readlink()}, which is not there: is the disk mounted?"
            raise ConfigError(f"paths.data_dir: {directory} {told}") from cause
        raise ConfigError(f"paths.data_dir: {directory} is no directory.") from cause
    except OSError as cause:
        place = Path(cause.filename or directory)
        what = "made" if place == directory or place in directory.parents else "used"
        raise ConfigError(f"paths.data_dir: {place} cannot be {what} ({cause.strerror}).") from cause
