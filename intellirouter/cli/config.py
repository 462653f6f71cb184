"""`intellirouter config …`: what a configuration may say, and what is set at run time on top of it."""

from __future__ import annotations

import json

import typer

from intellirouter.cli import config_import, config_settings
from intellirouter.config.reference import json_schema, markdown

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
for _command in (
    config_settings.export,
    config_settings.diff,
    config_settings.apply,
    config_settings.history,
    config_settings.rollback,
):
    app.command()(_command)
app.command("import")(config_import.import_file)


@app.command()
def schema() -> None:
    """Print the JSON Schema of a configuration file, for an editor."""
    typer.echo(json.dumps(json_schema(), indent=1, ensure_ascii=False))


@app.command()
def reference() -> None:
    """Print every key with its default and meaning, in Markdown."""
    typer.echo(markdown(), nl=False)
