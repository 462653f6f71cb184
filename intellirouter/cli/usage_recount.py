"""The sums of a record made anew from its rows: `intellirouter usage --recount`."""

from __future__ import annotations

import contextlib
from pathlib import Path

import msgspec
import typer

from intellirouter.app.components.records import open_whole
from intellirouter.cli.node_configuration import configured
from intellirouter.counts import counted
from intellirouter.errors import NotFound
from intellirouter.records.sqlite.store import FILE

CHECKED = 1000
"""Places at which sums are compared with the rows before a recount."""


def recount(config: Path | None, *, as_json: bool) -> None:
    """Make the sums anew, and say what was wrong with those that were there. Raises `NotFound`."""
    settings = configured(config, "router.toml").settings
    if settings.records.database_url is None and not (settings.paths.data_dir / FILE).exists():
        raise NotFound(f"There is no record in {settings.paths.data_dir}: the node has not run.")
    with contextlib.closing(open_whole(settings)) as store:
        wrong = store.check(CHECKED)
        store.recount()
        rows = 0
        while packed := store.pack():
            rows += packed
    if as_json:
        typer.echo(msgspec.json.encode({"wrong": wrong, "rows": rows}))
        return
    found = (
        "All sums that were looked at agreed with their rows"
        if not wrong
        else f"{counted(wrong, 'sum was', 'sums were')} wrong"
    )
    typer.echo(f"{found}; those of {counted(rows, 'row')} are made anew.")
