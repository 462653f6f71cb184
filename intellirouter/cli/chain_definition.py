"""The commands of `intellirouter chain` that look at definitions, which are files of this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from intellirouter.chains.check import check
from intellirouter.chains.drawing.mermaid import mermaid
from intellirouter.chains.model import Chain
from intellirouter.chains.plan import bundle, calls
from intellirouter.chains.schema import SCHEMA
from intellirouter.chains.source import InvalidChain, read
from intellirouter.cli.text_files import text_of
from intellirouter.errors import IntelliRouterError

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

FileArgument = Annotated[Path, typer.Argument(help="A definition: .yaml, .toml or .json.")]
JsonOption = Annotated[bool, typer.Option("--json", help="For machines.")]


@app.command()
def validate(
    files: Annotated[list[Path], typer.Argument(help="Definitions: .yaml, .toml or .json.")],
    as_json: JsonOption = False,
) -> None:
    """Say everything that is wrong with definitions, with line and path. Exit code 2 when something is."""
    problems: list[str] = []
    for file in files:
        try:
            chain = load(file)
            bundle(chain, siblings(file, chain))
        except InvalidChain as error:
            problems += map(str, error.problems)
        except IntelliRouterError as error:
            problems.append(f"{file}: {error.message}")
    if as_json:
        typer.echo(msgspec.json.encode({"valid": not problems, "problems": problems}))
    else:
        typer.echo("\n".join(problems) or f"{len(files)} valid")
    if problems:
        raise typer.Exit(InvalidChain.exit_code)


@app.command()
def schema() -> None:
    """Print the JSON Schema of a definition, for editors."""
    typer.echo(msgspec.json.format(msgspec.json.encode(SCHEMA)))


@app.command()
def show(
    file: FileArgument,
    as_mermaid: Annotated[bool, typer.Option("--mermaid", help="As a Mermaid flowchart.")] = False,
) -> None:
    """Draw a definition."""
    chain = load(file)
    if as_mermaid:
        typer.echo(mermaid(chain), nl=False)
        return
    tree = Tree(Text(f"{chain.name} v{chain.version}"))
    _grow(tree, chain.steps)
    Console().print(tree)


def _grow(tree: Tree, steps: tuple[Any, ...]) -> None:
    for step in steps:
        what = f" {step.kind}{f' when {step.when}' if step.when else ''}"
        branch = tree.add(Text.assemble(step.id, (what, "dim")))
        _grow(branch, step.do)
        for inner in step.branches:
            _grow(branch.add(Text(inner.when or inner.name, "dim")), inner.do)


def load(file: Path) -> Chain:
    """A definition that holds. Raises `InvalidChain`, `NotFound`."""
    hint = (
        ""
        if file.suffix
        else "This takes a file; `intellirouter chain start` runs a chain that a server keeps."
    )
    return check(read(text_of(file, hint), str(file)))


def siblings(file: Path, chain: Chain) -> dict[str, Chain]:
    """The chains a chain may call: those that lie beside its file under their own name."""
    names, found = sorted(calls(chain)), {chain.name: chain}
    while names:
        name = names.pop()
        beside = next(
            (
                file.with_name(name + end)
                for end in (".yaml", ".toml", ".json")
                if file.with_name(name + end).is_file()
            ),
            None,
        )
        if name not in found and beside is not None:
            found[name] = load(beside)
            names += sorted(calls(found[name]))
    return found
