"""`intellirouter backup ls`, `cat`, `diff` and `check`: looking into backups."""

from __future__ import annotations

import sys
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.markup import escape

from intellirouter.cli.backup_keys import secret_keys
from intellirouter.cli.node_options import IdentityOption, PassphraseOption
from intellirouter.cli.plain import amount
from intellirouter.counts import counted
from intellirouter.errors import NotFound
from intellirouter.ops.backup import looking, place

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
FileArgument = Annotated[
    str, typer.Argument(help="A backup: a path, or an address as in s3://BUCKET/PREFIX/NAME.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="For machines.")]


@app.command()
def ls(
    file: FileArgument,
    under: Annotated[str, typer.Argument(help="Only what begins so: documents/, config/.")] = "",
    identity: IdentityOption = None,
    passphrase: PassphraseOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the files of a backup with their sizes."""
    source = place.file(file)
    manifest = looking.manifest_of(source, secret_keys(source, identity, passphrase))
    listed = [*looking.listing(manifest, under)]
    if as_json:
        typer.echo(
            msgspec.json.encode([{"name": name, "bytes": e.size, "sha256": e.sha256} for name, e in listed])
        )
        return
    for name, entry in listed:
        typer.echo(f"{amount(entry.size):>12}  {name}")
    if under and not listed:
        raise NotFound(f"{file} holds nothing that begins with {under}.")


@app.command()
def cat(
    file: FileArgument,
    name: Annotated[str, typer.Argument(help="Of one of its files, as `ls` says it.")],
    identity: IdentityOption = None,
    passphrase: PassphraseOption = None,
) -> None:
    """Write one file of a backup to standard output, when all of the backup was found whole."""
    source = place.file(file)
    looking.copied(source, name, sys.stdout.buffer, secret_keys(source, identity, passphrase))
    sys.stdout.buffer.flush()


@app.command()
def diff(
    old: FileArgument,
    new: FileArgument,
    identity: IdentityOption = None,
    passphrase: PassphraseOption = None,
    as_json: JsonOption = False,
) -> None:
    """What differs between two backups: + is new, - is gone, M is another. Exit code 0 either way."""
    first, second = (
        looking.manifest_of(source, secret_keys(source, identity, passphrase))
        for source in map(place.file, (old, new))
    )
    changes = looking.changes(first, second)
    if as_json:
        typer.echo(msgspec.json.encode([{"name": c.name, "old": c.old, "new": c.new} for c in changes]))
        return
    for change in changes:
        mark = "+" if change.old is None else "-" if change.new is None else "M"
        before, after = (change.old.size if change.old else 0), (change.new.size if change.new else 0)
        sizes = (
            amount(after or before)
            if mark != "M" or before == after
            else f"{amount(before)} → {amount(after)}"
        )
        typer.echo(f"{mark} {change.name} ({sizes})")
    typer.echo(f"{counted(len(changes), 'file')} of {len(first.files.keys() | second.files.keys())} differ.")


@app.command()
def check(
    directory: Annotated[str, typer.Argument(help="A directory, s3://…, sftp://… or rclone:….")],
    subset: Annotated[
        str | None,
        typer.Option("--read-data-subset", help="Read a part: 1/7 the first of seven, 5% by lot, 100% all."),
    ] = None,
    identity: IdentityOption = None,
    passphrase: PassphraseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Whether a place of backups is whole: every incremental one has its pieces. Exit code 1 when it is not.

    With --read-data-subset also every byte of so many packs and archives.
    """
    where = place.directory(directory)
    keys = secret_keys(where / "any", identity, passphrase)
    with Console(stderr=True).status("looking") as status:
        found = looking.check(where, subset, keys, lambda name: status.update(escape(name)))
    if as_json:
        typer.echo(
            msgspec.json.encode(
                {
                    "backups": found.backups,
                    "archives": found.archives,
                    "archives_read": found.archives_read,
                    "packs": found.packs,
                    "packs_read": found.packs_read,
                    "problems": found.problems,
                }
            )
        )
    else:
        for problem in found.problems:
            typer.echo(problem)
        read = f", {found.packs_read} of them read" if subset else ""
        packs = f" and {counted(found.packs, 'pack')}{read}" if found.packs else ""
        state = counted(len(found.problems), "problem") if found.problems else "no problem"
        typer.echo(f"{counted(found.backups, 'backup')}{packs}: {state}.")
        if (
            not subset and found.archives
        ):  # one that is full has no pieces elsewhere: nothing of it was looked at
            unread = f"Of {counted(found.archives, 'full backup')} nothing was read"
            typer.echo(f"{unread}: --read-data-subset 100% reads them, `intellirouter backup verify` one.")
    if found.problems:
        raise typer.Exit(1)
