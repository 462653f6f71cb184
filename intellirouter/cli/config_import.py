"""`intellirouter config import`: the configuration of another orchestrator, line by line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from intellirouter.cli.plain import cells
from intellirouter.cli.text_files import text_of
from intellirouter.config.orchestrator_yaml import imported
from intellirouter.counts import counted
from intellirouter.errors import Conflict, NotFound


def import_file(
    file: Annotated[Path, typer.Argument(help="An orchestrator.yaml.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Our TOML file; absent: only said.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Read an orchestrator.yaml: what each line becomes here, and what becomes nothing and why."""
    found = imported(text_of(file))
    left = sum(not each.becomes for each in found.lines)
    if as_json:
        told = [
            {"line": each.line, "key": each.key, "becomes": each.becomes or None, "note": each.note}
            for each in found.lines
        ]
        typer.echo(msgspec.json.encode({"settings": found.settings, "lines": told}))
    else:
        table = Table("line", "there", "here", "note")
        for each in found.lines:
            table.add_row(*cells(each.line, each.key, each.becomes or "-", each.note))
        Console().print(table)
        typer.echo(f"{counted(len(found.lines) - left, 'line')} taken, {left} not.")
    if output is None:
        return
    if output.exists():
        raise Conflict(f"{output} is there already: nothing was written.")
    try:
        output.write_text(found.toml(), "utf-8")
    except OSError as cause:
        raise NotFound(f"{output} cannot be written ({cause.strerror}).") from cause
    typer.echo(f"{output} is there. Check it: intellirouter validate-config --config {output}", err=as_json)
