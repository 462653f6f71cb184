"""`intellirouter restore`: put a backup back."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from intellirouter.app.roles import ROLES
from intellirouter.cli.backup_keys import secret_keys
from intellirouter.cli.node_configuration import configured
from intellirouter.cli.node_options import ConfigOption, IdentityOption, PassphraseOption
from intellirouter.cli.node_unit import UnitOption
from intellirouter.config.schema.settings import Settings
from intellirouter.counts import counted
from intellirouter.errors import IntelliRouterError
from intellirouter.ops.backup import place
from intellirouter.ops.backup.restore import STORES, Plan, places, plan, restore
from intellirouter.ops.backup.seal import ForeignArchive
from intellirouter.telemetry import logs


def command(
    file: Annotated[str, typer.Argument(help="The backup: a path, or s3://BUCKET/PREFIX/NAME.")],
    config: ConfigOption = None,
    unit: UnitOption = None,
    only: Annotated[list[str] | None, typer.Option(help=f"{', '.join(STORES)}; may be repeated.")] = None,
    identity: IdentityOption = None,
    passphrase: PassphraseOption = None,
    also: Annotated[
        list[str] | None,
        typer.Option(help="A server that other nodes may use, beside the rest: redis, chains, vectors."),
    ] = None,
    trust_foreign: Annotated[
        bool, typer.Option("--trust-foreign", help="Restore an archive that this node did not make.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Verify, and say what would be replaced.")
    ] = False,
) -> None:
    """Put a backup back into the data directory of a stopped node. What it replaces is kept aside.

    A server that other nodes may use (Redis, Postgres) is left alone unless it is named, and so is the configuration.
    """
    logs.configure(level="warning", json=False)
    loaded = configured(config, ROLES[0].file, unit)
    settings, chosen = loaded.settings, only or []
    source = place.file(file)
    keys = secret_keys(source, identity, passphrase)
    config_dir = loaded.file.absolute().parent if loaded.file else None
    if dry_run:
        _tell(file, plan(source, settings, chosen, also or [], keys), settings, config_dir)
        return

    def allow(planned: Plan) -> None:
        _left_alone(planned, "leaving")
        if planned.foreign and not trust_foreign:
            _confirm(file)

    try:
        aside = restore(source, settings, chosen, keys, also=also or [], allow=allow, config_dir=config_dir)
    except OSError as cause:
        raise IntelliRouterError(f"{cause.filename}: {cause.strerror}. Nothing was changed.") from cause
    if not any(aside.iterdir()):
        aside.rmdir()
        typer.echo("restored. Nothing was there before.")
        return
    typer.echo(f"restored. What was there before lies in {aside}: delete it when the node runs well.")


def _tell(file: str, planned: Plan, settings: Settings, config_dir: Path | None) -> None:
    """What would be replaced, and what is left alone."""
    manifest = planned.manifest
    typer.echo(f"{file}: whole, made {manifest.created} by version {manifest.version}")
    if planned.foreign:
        typer.echo("foreign: this node did not make it, or its key is lost; restoring it asks first")
    there = places(settings) | ({"config": config_dir} if config_dir else {})
    for store in planned.wanted:
        if store not in there:
            typer.echo(f"would replace {store} on its server{_count(planned, store)}")
        else:
            typer.echo(f"{'would replace' if there[store].exists() else 'would make'} {there[store]}")
    _left_alone(planned, "would leave")


def _left_alone(planned: Plan, words: str) -> None:
    for store in planned.left:
        typer.echo(
            f"{words} {store} alone: it is a server, which other nodes may use "
            f"(--also {store} replaces it{_count(planned, store)})"
        )


def _count(planned: Plan, store: str) -> str:
    count = sum(number for name, number in planned.manifest.counts.items() if name.partition("/")[0] == store)
    return (
        f": {counted(count, 'record')} of the archive in place of all that is there now, for every node"
        if count
        else ""
    )


def _confirm(file: str) -> None:
    """Raises `ForeignArchive` unless somebody at a terminal types the word."""
    words = (
        f"{file} was not made by this node, or the node's key is lost: nobody vouches for what it holds. "
        "It becomes this node's documents, keys, prompts and runs."
    )
    if not sys.stdin.isatty():
        raise ForeignArchive(f"{words} If you know where it comes from: --trust-foreign.")
    typer.echo(words, err=True)
    if (
        typer.prompt("Type 'trust' to restore it all the same", default="", show_default=False, err=True)
        != "trust"
    ):
        raise ForeignArchive("Nothing was changed.")
