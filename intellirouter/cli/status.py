"""`intellirouter status`: the roles of this node and those it speaks with, their health, and the last backup, at a glance."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from intellirouter.alerts.reading.last_backup import Standing
from intellirouter.cli.node_address import Address
from intellirouter.cli.node_found import all_found
from intellirouter.cli.node_options import ConfigOption
from intellirouter.cli.plain import age, cells
from intellirouter.cli.server_client import exchange
from intellirouter.errors import PeerUnavailable
from intellirouter.ops.backup import marks

SECONDS = 5.0
NOTHING_RUNS = 3
"""As systemctl says it (LSB)."""
_STYLES = {"healthy": "green", "degraded": "yellow"}


def command(
    config: ConfigOption = None,
    seconds: Annotated[float, typer.Option("--timeout", min=0.1, max=60, help="For each answer.")] = SECONDS,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """What runs here and how it is. Exit code 0 when all is well, 1 when something is not, 3 when nothing runs."""
    here, elsewhere, data_dir = all_found(config)
    nodes = [_asked(role, address, seconds, pid) for pid, role, address in here]
    nodes += [_asked(role, address, seconds, None) for role, address in elsewhere]
    last = marks.read(data_dir) if data_dir is not None else Standing()
    if as_json:
        typer.echo(
            msgspec.json.encode(
                {"nodes": nodes, "backup": last, "data_dir": str(data_dir) if data_dir else None}
            )
        )
    else:
        _print(nodes, last, data_dir)
    if not here:
        raise typer.Exit(NOTHING_RUNS)
    failed = last.failed is not None or (last.drill is not None and not last.drill.ok)
    if failed or any(node["status"] != "healthy" for node in nodes):
        raise typer.Exit(1)


def _asked(role: str, address: Address, seconds: float, pid: int | None) -> dict[str, Any]:
    """What a role says of itself, and why not where it says nothing."""
    facts: dict[str, Any] = {"role": role, "url": address.url, "process": pid}
    try:
        _, body, _ = exchange(address, {}, "GET", "/health", seconds=seconds)
        health = msgspec.json.decode(body, type=dict[str, Any])
        return {
            **facts,
            "status": health["status"],
            "draining": bool(health.get("draining")),
            "version": health["version"],
            "commit": health.get("commit"),
            "uptime_seconds": health["uptime_seconds"],
            "reasons": {
                name: part["reason"] for name, part in health["parts"].items() if part["status"] != "healthy"
            },
        }
    except PeerUnavailable as error:
        return {**facts, "status": "unreachable", "reasons": {"": error.message}}
    except (msgspec.MsgspecError, KeyError, TypeError):
        return {**facts, "status": "unreachable", "reasons": {"": f"{address.url} is no IntelliRouter"}}


def _print(nodes: list[dict[str, Any]], last: Standing, data_dir: Path | None) -> None:
    console = Console(highlight=False)
    if nodes:
        table = Table(box=None, pad_edge=False)
        for column in ("role", "where", "version", "up for", "state"):
            table.add_column(column, overflow="fold")
        for node in nodes:
            state = node["status"] + (", draining" if node.get("draining") else "")
            table.add_row(
                *cells(node["role"], node["url"], node.get("version", "")),
                Text(age(node["uptime_seconds"]) if "uptime_seconds" in node else ""),
                Text(state, style=_STYLES.get(node["status"], "bold red")),
            )
        console.print(table)
    for node in nodes:
        for name, reason in node["reasons"].items():
            console.print(Text(f"{node['role']}{f', {name}' if name else ''}: {reason}", style="yellow"))
    if not any(node["process"] for node in nodes):
        console.print(Text(f"Nothing runs on {data_dir}." if data_dir else "No configuration can be read."))
    for line in _backup_lines(last):
        console.print(Text(line))


def _backup_lines(last: Standing) -> list[str]:
    now = time.time()
    lines = [
        f"last backup: {age(now - last.backup.at)} ago, {last.backup.place}"
        if last.backup
        else "last backup: none"
    ]
    if last.failed:
        lines.append(f"the backup {age(now - last.failed.at)} ago failed: {last.failed.reason}")
    if last.drill:
        how = "came out right" if last.drill.ok else f"failed: {last.drill.reason}"
        lines.append(f"the restore drill {age(now - last.drill.at)} ago {how}")
    return lines
