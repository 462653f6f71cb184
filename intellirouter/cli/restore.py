"""`intellirouter restore`: put a backup back."""

from __future__ import annotations

from typing import Annotated

import typer

from intellirouter.app.roles import ROLES
from intellirouter.cli.backup_keys import secret_keys
from intellirouter.cli.node_options import ConfigOption, IdentityOption, PassphraseOption, configured
from intellirouter.errors import IntelliRouterError
from intellirouter.ops.backup import place
from intellirouter.ops.backup.restore import STORES, check, places, restore
from intellirouter.telemetry import logs


def command(
    file: Annotated[str, typer.Argument(help="The backup: a path, or s3://BUCKET/PREFIX/NAME.")],
    config: ConfigOption = None,
    only: Annotated[list[str] | None, typer.Option(help=f"{', '.join(STORES)}; may be repeated.")] = None,
    identity: IdentityOption = None,
    passphrase: PassphraseOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Verify, and say what would be replaced.")
    ] = False,
) -> None:
    """Put a backup back into the data directory of a stopped node. What it replaces is kept aside."""
    logs.configure(level="warning", json=False)
    settings = configured(config, ROLES[0].file).settings
    chosen = only or []
    source = place.file(file)
    keys = secret_keys(source, identity, passphrase)
    if dry_run:
        manifest, wanted = check(source, chosen, keys)
        typer.echo(f"{file}: whole, made {manifest.created} by version {manifest.version}")
        for store in wanted:
            there = places(settings).get(store)
            if there is None:
                typer.echo(f"would replace {store} on its server")
            else:
                typer.echo(f"{'would replace' if there.exists() else 'would make'} {there}")
        return
    try:
        aside = restore(source, settings, chosen, keys)
    except OSError as cause:
        raise IntelliRouterError(f"{cause.filename}: {cause.strerror}. Nothing was changed.") from cause
    typer.echo(f"restored. What was there before lies in {aside}: delete it when the node runs well.")
