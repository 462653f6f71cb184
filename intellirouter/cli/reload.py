"""`intellirouter reload`: have the node on a data directory read its configuration again, and say how that went."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from intellirouter.app import node_files
from intellirouter.app.node_files import NodeFile, Verdict
from intellirouter.app.roles import select
from intellirouter.cli.node_configuration import configured
from intellirouter.cli.node_options import ConfigOption, RoleOption
from intellirouter.errors import ConfigError, IntelliRouterError, PeerUnavailable

LOOK_SECONDS = 0.05


def command(
    config: ConfigOption = None,
    role: RoleOption = "All",
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds to wait for the node's word.")] = 60,
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable output.")] = False,
) -> None:
    """Have a running node take its configuration anew: all of it, or nothing.

    The node is the one that serves from the data directory of the configuration. Exit code 78 when it refuses: it then goes
    on as before.
    """
    loaded = configured(config, select(role)[0].file).startable()
    data_dir = loaded.settings.paths.data_dir
    nodes = node_files.running(data_dir)
    if not nodes:
        raise PeerUnavailable(f"No node runs on {data_dir}: there is nothing to reload.")
    verdicts = _reloaded(data_dir, nodes, time.monotonic() + timeout)
    if as_json:
        typer.echo(msgspec.json.encode({str(pid): verdict for pid, verdict in verdicts.items()}))
    else:
        _tell(verdicts)
    if not all(verdict.accepted for verdict in verdicts.values()):
        raise typer.Exit(ConfigError.exit_code)


def _reloaded(data_dir: Path, nodes: list[NodeFile], deadline: float) -> dict[int, Verdict]:
    """What every process says. Raises `IntelliRouterError` for one that says nothing in time, or ended."""
    before = {node.pid: node.reload.number for node in nodes}
    for pid in {node.signalled for node in nodes}:
        try:
            os.kill(pid, signal.SIGHUP)
        except OSError as cause:
            raise IntelliRouterError(f"Process {pid} cannot be told ({cause.strerror}).") from cause
    verdicts: dict[int, Verdict] = {}
    while len(verdicts) < len(before):
        now = {node.pid: node for node in node_files.running(data_dir)}
        for pid, number in before.items():
            if pid not in now:
                raise IntelliRouterError(f"The node (process {pid}) ended while it was asked to reload.")
            if now[pid].reload.number > number:
                verdicts[pid] = now[pid].reload
        if time.monotonic() > deadline:
            raise PeerUnavailable("The node did not say in time how the reload went; its log does.")
        time.sleep(LOOK_SECONDS)
    return verdicts


def _tell(verdicts: dict[int, Verdict]) -> None:
    for refusal in dict.fromkeys(verdict.message for verdict in verdicts.values() if not verdict.accepted):
        typer.echo(f"refused, and nothing was changed:\n{refusal}", err=True)
    waiting = sorted({key for verdict in verdicts.values() for key in verdict.needs_restart})
    if all(verdict.accepted for verdict in verdicts.values()):
        typer.echo("reloaded" + (f"; waiting for a restart: {', '.join(waiting)}" if waiting else ""))
