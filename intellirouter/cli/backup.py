"""`intellirouter backup`: make a backup of this node, list and verify backups."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.markup import escape
from rich.text import Text

from intellirouter.app.roles import ROLES
from intellirouter.cli.backup_keys import public_keys, secret_keys
from intellirouter.cli.backup_letting_go import let_go
from intellirouter.cli.node_configuration import configured
from intellirouter.cli.node_options import ConfigOption, IdentityOption, PassphraseOption
from intellirouter.cli.node_unit import UnitOption
from intellirouter.cli.parts import parts
from intellirouter.cli.plain import age, amount, wrapped
from intellirouter.counts import counted
from intellirouter.errors import IntelliRouterError, NotFound
from intellirouter.ops.backup import forms, place, retention
from intellirouter.ops.backup.archive import BackupDamaged, Manifest
from intellirouter.ops.backup.make import make
from intellirouter.ops.backup.place import File
from intellirouter.ops.backup.retention import Keep
from intellirouter.ops.backup.shelf import PACKS
from intellirouter.ops.backup.snapshot import SUFFIX as SNAPSHOT
from intellirouter.telemetry import logs

app = typer.Typer(
    cls=parts(
        {
            "intellirouter.cli.backup_looking": ("ls", "cat", "diff", "check"),
            "intellirouter.cli.backup_now": ("now", "drill"),
        }
    ),
    no_args_is_help=True,
    rich_markup_mode=None,
)
PlaceArgument = Annotated[str, typer.Argument(help="A directory, s3://…, sftp://… or rclone:….")]
JsonOption = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]


@app.callback(invoke_without_command=True)
def create(
    context: typer.Context,
    to: Annotated[
        str | None, typer.Option(help="Directory, s3://BUCKET/PREFIX, sftp://HOST/DIR or rclone:REMOTE:PATH.")
    ] = None,
    recipients: Annotated[
        Path | None, typer.Option(help="File of age public keys: the backup is encrypted to them.")
    ] = None,
    passphrase: Annotated[
        Path | None,
        typer.Option(
            "--passphrase-file",
            help="File whose first line is a passphrase: the backup is encrypted to a key of the directory that it opens.",
        ),
    ] = None,
    incremental: Annotated[
        bool,
        typer.Option("--incremental", help="Write only what the directory's earlier backups do not hold."),
    ] = False,
    tags: Annotated[
        list[str] | None,
        typer.Option("--tag", help="A word of the backup's name, for prune; may be repeated."),
    ] = None,
    config: ConfigOption = None,
    unit: UnitOption = None,
    as_json: JsonOption = False,
) -> None:
    """Back up everything this node holds, servers included, into one verified file.

    With --incremental into a directory whose backups share what did not change.
    """
    logs.configure(level="warning", json=False)
    if context.invoked_subcommand is not None:
        return
    if to is None:
        raise typer.BadParameter("says where the backup goes", param_hint="--to")
    loaded = configured(config, ROLES[0].file, unit)
    console = Console(stderr=True)
    try:
        directory = place.made(to)
        keys, opens = public_keys(directory, recipients, passphrase)
        with console.status("backing up") as status:
            target, manifest = make(
                loaded,
                directory,
                lambda name: status.update(escape(name)),
                keys,
                incremental=incremental,
                secrets_=opens,
                tags=tags or (),
            )
    except OSError as cause:
        raise IntelliRouterError(f"{cause.filename or to}: {cause.strerror or cause}.") from cause
    if as_json:
        typer.echo(msgspec.json.encode({"archive": str(target), "manifest": manifest}))
        return
    _tell(target, manifest)


@app.command()
def verify(
    file: str,
    identity: IdentityOption = None,
    passphrase: PassphraseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Read a whole backup and check every byte. Exit code 1 when it is damaged.

    Without the key of an encrypted backup its sum is checked, and not what it holds.
    """
    source = place.file(file)
    manifest = forms.verify(source, secret_keys(source, identity, passphrase))
    if manifest is None:
        typer.echo(f"{file}: whole, encrypted; --identity or --passphrase-file reads what it holds")
    elif as_json:
        typer.echo(msgspec.json.encode({"archive": str(file), "manifest": manifest}))
    else:
        _tell(source, manifest)


@app.command()
def prune(
    directory: PlaceArgument,
    days: Annotated[float, typer.Option("--keep-days", min=0, help="Younger ones stay.")] = 30,
    last: Annotated[int, typer.Option("--keep-last", min=0, help="So many stay.")] = 0,
    hourly: Annotated[int, typer.Option("--keep-hourly", min=0, help="The last of so many hours.")] = 0,
    daily: Annotated[int, typer.Option("--keep-daily", min=0, help="The last of so many days.")] = 0,
    weekly: Annotated[int, typer.Option("--keep-weekly", min=0, help="The last of so many weeks.")] = 0,
    monthly: Annotated[int, typer.Option("--keep-monthly", min=0, help="The last of so many months.")] = 0,
    yearly: Annotated[int, typer.Option("--keep-yearly", min=0, help="The last of so many years.")] = 0,
    within: Annotated[str | None, typer.Option("--keep-within", help="Younger ones: 1y6m, 10d, 36h.")] = None,
    tags: Annotated[
        list[str] | None, typer.Option("--keep-tag", help="Those with the tag; may be repeated.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go.")] = False,
) -> None:
    """Delete the backups of a place that no rule keeps. The newest always stays."""
    keep = Keep(
        days,
        last,
        hourly,
        daily,
        weekly,
        monthly,
        yearly,
        retention.span(within) if within else timedelta(0),
        frozenset(tags or ()),
    )
    let_go(place.directory(directory), keep, typer.echo, dry_run=dry_run)


@app.command("list")
def list_(
    directory: PlaceArgument,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """The backups of a place, each checked: how old, from where, and what is in it. Exit code 1 when one is damaged.

    Of an incremental one the pieces are not read, and of an archive elsewhere nothing is fetched: `verify` does that.
    """
    where = place.directory(directory)
    if isinstance(where, Path) and not where.is_dir():
        raise NotFound(f"{directory}: there is no such directory.")
    listed = [_listed(file) for file in sorted(forms.backups(where), key=lambda file: file.name)]
    if as_json:
        typer.echo(msgspec.json.encode(listed))
    elif not listed:
        typer.echo(f"{directory} holds no backup.")
    console = Console(highlight=False)
    for facts in listed if not as_json else ():
        console.print(Text(str(facts["name"])), soft_wrap=True)
        style = "bold red" if facts["state"] == "damaged" else "dim"
        for line in wrapped(_in_words(facts), console.width - 4 if console.is_terminal else 10_000):
            console.print(Text(f"    {line}", style=style), soft_wrap=True)
    if not as_json and (packs := [*place.folder(where, PACKS).glob("*.pack")]):
        shared = sum(map(place.size, packs))
        typer.echo(f"and {amount(shared)} of pieces that the incremental ones share")
    if any(facts["state"] == "damaged" for facts in listed):
        raise typer.Exit(1)


def _listed(file: File) -> dict[str, Any]:
    """What is known of a backup without reading all of it."""
    made = retention.made_at(file)
    facts: dict[str, Any] = {
        "name": file.name,
        "made": made.isoformat(timespec="seconds") if made else None,
        "age_seconds": round((datetime.now(UTC) - made).total_seconds()) if made else None,
        "bytes": place.size(file),
        "tags": retention.tags_of(file),
        "state": "not looked into",
    }
    if not isinstance(file, Path) and file.suffix != SNAPSHOT:
        return facts
    try:
        manifest = forms.glance(file)
    except BackupDamaged:
        return {**facts, "state": "damaged"}
    if manifest is None:
        return {**facts, "state": "encrypted"}
    return {
        **facts,
        "state": "whole",
        "version": manifest.version,
        "host": manifest.host,
        "node": manifest.node,
        "holds": list(dict.fromkeys(name.partition("/")[0] for name in manifest.files)),
        "absent": manifest.absent,
    }


def _in_words(facts: dict[str, Any]) -> str:
    """`2 hours ago, 1.4 MiB, from router-1 (router), version 0.1.0: config, state, personas`."""
    words = [f"{age(facts['age_seconds'])} ago"] if facts["age_seconds"] is not None else []
    words.append(amount(facts["bytes"]))
    words += [f"tagged {' '.join(facts['tags'])}"] if facts["tags"] else []
    if facts["state"] != "whole":
        return ", ".join((*words, facts["state"]))
    if facts["host"]:
        words.append(f"from {facts['host']}" + (f" ({facts['node']})" if facts["node"] else ""))
    words.append(f"version {facts['version']}")
    return f"{', '.join(words)}: {', '.join(facts['holds']) or 'nothing'}"


def _tell(file: File, manifest: Manifest) -> None:
    console = Console(highlight=False, soft_wrap=True, markup=False)
    size = amount(place.size(file))
    console.print(f"{file}: whole, {counted(len(manifest.files), 'file')}, {size}, made {manifest.created}")
    if manifest.counts:
        sums: Counter[str] = Counter()
        for name, count in manifest.counts.items():
            sums[name.partition("/")[0] if "/" in name else "state"] += count
        console.print("records: " + ", ".join(f"{store} {count}" for store, count in sorted(sums.items())))
    for name, reason in manifest.absent.items():
        console.print(f"absent: {name} ({reason})")
