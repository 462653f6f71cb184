"""`intellirouter backup`: make a backup of this node, list and verify backups."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from intellirouter.app.roles import ROLES
from intellirouter.cli.node_options import ConfigOption, loader
from intellirouter.errors import IntelliRouterError
from intellirouter.ops.backup import archive
from intellirouter.ops.backup.archive import BackupDamaged, Manifest
from intellirouter.ops.backup.make import make

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
JsonOption = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]


@app.callback(invoke_without_command=True)
def create(
    context: typer.Context,
    to: Annotated[Path | None, typer.Option(help="Directory that receives the backup.")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Back up everything this node holds, servers included, into one verified file."""
    if context.invoked_subcommand is not None:
        return
    if to is None:
        raise typer.BadParameter("says where the backup goes", param_hint="--to")
    loaded = loader(config, ROLES[0].file)()
    console = Console(stderr=True)
    try:
        with console.status("backing up") as status:
            target, manifest = make(loaded, to, lambda name: status.update(escape(name)))
    except OSError as cause:
        raise IntelliRouterError(f"{cause.filename or to}: {cause.strerror or cause}.") from cause
    if as_json:
        typer.echo(msgspec.json.encode({"archive": str(target), "manifest": manifest}))
        return
    _tell(target, manifest)


@app.command()
def verify(file: Path, as_json: JsonOption = False) -> None:
    """Read a whole backup and check every byte. Exit code 1 when it is damaged."""
    manifest = archive.read(file)
    if as_json:
        typer.echo(msgspec.json.encode({"archive": str(file), "manifest": manifest}))
    else:
        _tell(file, manifest)


@app.command("list")
def list_(directory: Path) -> None:
    """The backups of a directory, each verified. Exit code 1 when one is damaged."""
    table = Table("backup", "made", "version", "files", "MiB", box=None, padding=(0, 1))
    damaged = False
    for file in sorted(directory.glob(f"*{archive.SUFFIX}")):
        size = f"{file.stat().st_size / 2**20:.1f}"
        try:
            manifest = archive.read(file)
        except BackupDamaged:
            damaged = True
            table.add_row(escape(file.name), "[bold red]damaged[/]", "", "", size)
            continue
        table.add_row(escape(file.name), manifest.created, manifest.version, str(len(manifest.files)), size)
    Console().print(table)
    if damaged:
        raise typer.Exit(1)


def _tell(file: Path, manifest: Manifest) -> None:
    console = Console(highlight=False, soft_wrap=True, markup=False)
    size = file.stat().st_size / 2**20
    console.print(f"{file}: whole, {len(manifest.files)} files, {size:.1f} MiB, made {manifest.created}")
    if manifest.counts:
        console.print("records: " + ", ".join(f"{count} {table}" for table, count in manifest.counts.items()))
    for name, reason in manifest.absent.items():
        console.print(f"absent: {name} ({reason})")
