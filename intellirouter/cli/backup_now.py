"""`intellirouter backup now` and `drill`: what the node's own clock does, and what a person does by hand just so."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from intellirouter.app.roles import ROLES
from intellirouter.cli.backup_keys import public_keys, secret_keys
from intellirouter.cli.backup_letting_go import let_go
from intellirouter.cli.node_configuration import configured
from intellirouter.cli.node_options import ConfigOption, IdentityOption, PassphraseOption
from intellirouter.cli.node_unit import UnitOption
from intellirouter.config.schema.backup import BackupSection
from intellirouter.counts import counted
from intellirouter.errors import IntelliRouterError, InvalidRequest
from intellirouter.ops.backup import looking, marks, place
from intellirouter.ops.backup.drill import drill as tried
from intellirouter.ops.backup.make import make
from intellirouter.ops.backup.retention import Keep
from intellirouter.telemetry import logs

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
JsonOption = Annotated[bool, typer.Option("--json", help="For machines.")]


@app.command()
def now(config: ConfigOption = None, unit: UnitOption = None, as_json: JsonOption = False) -> None:
    """Make the backup that [backup] describes, and let go what its rules keep no more."""
    logs.configure(level="warning", json=False)
    loaded = configured(config, ROLES[0].file, unit)
    section, data_dir = loaded.settings.backup, loaded.settings.paths.data_dir
    to = _address(section)  # where no backup is asked for none has failed
    with _noted(data_dir):
        where = place.made(to)
        keys, opens = public_keys(where, section.recipients, section.passphrase_file)
        target, manifest = make(
            loaded, where, lambda _: None, keys, incremental=section.incremental, secrets_=opens
        )
        went: list[str] = []
        let_go(where, keep_of(section), went.append)
    if as_json:
        typer.echo(msgspec.json.encode({"archive": str(target), "manifest": manifest, "let_go": went}))
        return
    typer.echo(f"{target}: {counted(len(manifest.files), 'file')}, made {manifest.created}")
    for line in went:
        typer.echo(line)


@app.command()
def drill(
    file: Annotated[
        str | None, typer.Argument(help="A backup, or where they lie (the last is tried); else [backup] to.")
    ] = None,
    within: Annotated[
        Path | None,
        typer.Option("--in", help="Where it is put back; else beside the node's data.", file_okay=False),
    ] = None,
    identity: IdentityOption = None,
    passphrase: PassphraseOption = None,
    config: ConfigOption = None,
    unit: UnitOption = None,
    as_json: JsonOption = False,
) -> None:
    """Try a restore: put a backup back beside the node, look at all of it, and remove it. Exit code 1 when it fails.

    The node may run: nothing of it is touched.
    """
    logs.configure(level="warning", json=False)
    loaded = configured(config, ROLES[0].file, unit)
    settings = loaded.settings
    section = settings.backup
    file = file or _address(section)
    try:
        if not file.endswith((".irbackup", ".irsnapshot")):
            source = looking.newest(place.directory(file))
        else:
            source = place.file(file)
        by_hand = identity is not None or passphrase is not None
        keys = secret_keys(
            source,
            identity if by_hand else section.identity,
            passphrase if by_hand or section.identity else section.passphrase_file,
        )
        found = tried(source, settings, keys, within)
    except IntelliRouterError as error:
        marks.drilled(settings.paths.data_dir, ok=False, reason=error.message)
        raise
    except OSError as error:
        marks.drilled(settings.paths.data_dir, ok=False, reason=f"{error.filename}: {error.strerror}")
        raise
    marks.drilled(settings.paths.data_dir, ok=True)
    if as_json:
        typer.echo(
            msgspec.json.encode(
                {
                    "backup": str(source),
                    "restored": found.stores,
                    "read": found.read_only,
                    "files": len(found.manifest.files),
                    "foreign": found.foreign,
                    "seconds": round(found.seconds, 3),
                }
            )
        )
        return
    typer.echo(
        f"{source}: can be restored ({counted(len(found.manifest.files), 'file')}, {found.seconds:.1f} s)"
    )
    typer.echo(f"put back and looked at: {', '.join(found.stores) or 'nothing'}")
    if found.read_only:
        typer.echo(f"read, for servers: {', '.join(found.read_only)}")
    if found.foreign:
        typer.echo("foreign: this node did not make it, or its key is lost; restoring it asks first")


def keep_of(section: BackupSection) -> Keep:
    """What stays, by the configuration."""
    return Keep(
        section.keep_days,
        section.keep_last,
        section.keep_hourly,
        section.keep_daily,
        section.keep_weekly,
        section.keep_monthly,
        section.keep_yearly,
        tags=frozenset(section.keep_tags),
    )


def _address(section: BackupSection) -> str:
    if section.to is None:
        raise InvalidRequest("[backup] to says where backups lie, and is not set.", param="backup.to")
    return section.to


@contextmanager
def _noted(data_dir: Path) -> Iterator[None]:
    """What goes wrong is written where alerts look."""
    try:
        yield
    except IntelliRouterError as error:
        marks.failed(data_dir, error.message)
        raise
    except OSError as error:
        marks.failed(data_dir, f"{error.filename}: {error.strerror or error}")
        raise
