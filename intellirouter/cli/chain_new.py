"""`intellirouter chain new`: a definition to start from, with the cases that test it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from intellirouter.chains.examples import examples
from intellirouter.chains.schema import NAME, SCHEMA
from intellirouter.cli.plain import cells
from intellirouter.errors import Conflict, InvalidRequest, NotFound

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
SCHEMA_FILE = "chain.schema.json"


@app.command()
def new(
    name: Annotated[
        str | None, typer.Argument(help="What it is to be called; absent: lists the examples.")
    ] = None,
    example: Annotated[str, typer.Option("--from", help="The example to start from.")] = "rag-answer",
    folder: Annotated[Path, typer.Option(help="Where the files are written.")] = Path(),
) -> None:
    """Write a definition to start from, its cases, and the schema that lets an editor complete and check it."""
    known = examples()
    if name is None:
        table = Table("example", "what it does")
        for each in known.values():
            table.add_row(*cells(each.name, each.summary))
        Console().print(table)
        return
    if not NAME.fullmatch(name):
        raise InvalidRequest(
            f"'{name[:60]}' is no name of a chain: small letters, digits, '.', '_' and '-'.", param="name"
        )
    if example not in known:
        raise NotFound(f"There is no example '{example[:60]}': {', '.join(known)}.")
    chosen, file = known[example], folder / f"{name}.yaml"
    texts = {file: f"# yaml-language-server: $schema={SCHEMA_FILE}\n{chosen.named(name)}"}
    if chosen.cases:
        texts[folder / f"{name}.cases.yaml"] = chosen.cases
    if there := [path for path in texts if path.exists()]:
        raise Conflict(f"{there[0]} is there already; give another name or --folder.")
    texts[folder / SCHEMA_FILE] = msgspec.json.format(msgspec.json.encode(SCHEMA)).decode() + "\n"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, text in texts.items():
            path.write_text(text, "utf-8")
    except OSError as cause:
        raise NotFound(f"{cause.filename} cannot be written ({cause.strerror}).") from cause
    typer.echo("\n".join(f"{path} is there." for path in texts))
    tested = (
        f"\nTest it:  intellirouter chain test {file} {file.with_suffix('.cases.yaml')}"
        if chosen.cases
        else ""
    )
    typer.echo(f"Check it: intellirouter chain validate {file}{tested}")
