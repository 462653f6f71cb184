"""`intellirouter restore`: put a backup back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from intellirouter.app.roles import ROLES
from intellirouter.cli.node_options import ConfigOption, IdentityOption, loader
from intellirouter.errors import IntelliRouterError
from intellirouter.ops.backup.age import identities
from intellirouter.ops.backup.restore import STORES, check, places, restore


def command(
    file: Annotated[Path, typer.Argument(help="The backup.")],
    config: ConfigOption = None,
    only: Annotated[list[str] | None, typer.Option(help=f"{', '.join(STORES)}; may be repeated.")] = None,
    identity: IdentityOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Verify, and say what would be replaced.")
    ] = False,
) -> None:
    """Put a backup back into the data directory of a stopped node. What it replaces is kept aside."""
    settings = loader(config, ROLES[0].file)().settings
    chosen = only or []
    keys = identities(identity) if identity else []
    if dry_run:
        manifest, wanted = check(file, chosen, keys)
        typer.echo(f"{file}: whole, made {manifest.created} by version {manifest.version}")
        for store in wanted:
            place = places(settings).get(store)
            if place is None:
                typer.echo(f"would replace {store} on its server")
            else:
                typer.echo(f"{'would replace' if place.exists() else 'would make'} {place}")
        return
    try:
        aside = restore(file, settings, chosen, keys)
    except OSError as cause:
        raise IntelliRouterError(f"{cause.filename}: {cause.strerror}. Nothing was changed.") from cause
    typer.echo(f"restored. What was there before lies in {aside}: delete it when the node runs well.")
