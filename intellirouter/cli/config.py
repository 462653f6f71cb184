"""`intellirouter config …`: what a configuration may say, for people and for editors."""

from __future__ import annotations

import json

import typer

from intellirouter.config.reference import json_schema, markdown

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.command()
def schema() -> None:
    """Print the JSON Schema of a configuration file, for an editor."""
    typer.echo(json.dumps(json_schema(), indent=1, ensure_ascii=False))


@app.command()
def reference() -> None:
    """Print every key with its default and meaning, in Markdown."""
    typer.echo(markdown(), nl=False)
