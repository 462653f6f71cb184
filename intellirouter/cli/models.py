"""`intellirouter models`: what a Router can be asked for, and changes to it at run time."""

from __future__ import annotations

import typer

from intellirouter.cli.parts import parts

app = typer.Typer(
    cls=parts(
        {
            "intellirouter.cli.models_asked": ("list", "test"),
            "intellirouter.cli.models_kept": ("add", "remove", "drain"),
            "intellirouter.cli.models_pull": ("pull",),
            "intellirouter.cli.models_facts": ("facts",),
        }
    ),
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.callback()
def group() -> None:
    """List, test, add, remove and drain models."""
