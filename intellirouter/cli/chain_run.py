"""`intellirouter chain run` and `test`: a definition run in this process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.live import Live
from rich.tree import Tree

from intellirouter.app.components.chain_engine import local_ports
from intellirouter.chains.model import Chain
from intellirouter.chains.ports import Listener
from intellirouter.chains.runtime.in_process import InProcessRuntime, silent
from intellirouter.chains.source import read
from intellirouter.chains.steps.attempts import Cache, Worker
from intellirouter.chains.trial import Verdict, cases_of, tried
from intellirouter.cli.chain_definition import FileArgument, JsonOption, load, siblings
from intellirouter.cli.chain_inputs import InputOption, inputs_of
from intellirouter.cli.chain_words import output
from intellirouter.cli.node_configuration import configured
from intellirouter.cli.node_options import ConfigOption
from intellirouter.cli.text_files import text_of
from intellirouter.config.schema.settings import Settings
from intellirouter.errors import InvalidRequest
from intellirouter.telemetry import logs

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

_MARKS = {
    "step_started": "[cyan]…[/]",
    "step_finished": "[green]✓[/]",
    "step_failed": "[red]✗[/]",
    "step_retry": "[yellow]↻[/]",
    "step_fallback": "[yellow]⇢[/]",
    "step_waiting": "[blue]⏸[/]",
}


@app.command()
def run(
    file: FileArgument,
    given: InputOption = None,
    signal: Annotated[list[str] | None, typer.Option(help="NAME=JSON, handed to a waiting step.")] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Run one chain in this process. Exit code 0 when it succeeded, 1 when a step failed, 2 for bad input."""
    chain = load(file)
    library = siblings(file, chain)
    inputs = inputs_of(given or [], lambda: {name: each.type for name, each in chain.inputs.items()})
    signals = dict(_signal(text) for text in signal or [])
    settings = configured(config, "orchestrator.toml").settings
    logs.configure(level="error", levels={}, json=False, file=None, role="")
    if as_json:
        result = asyncio.run(_run(settings, chain, inputs, library, signals, silent))
        typer.echo(msgspec.json.encode(result))
        return
    tree = Tree(f"[bold]{chain.name}[/] v{chain.version}")
    console = Console(stderr=True)
    try:
        with Live(tree, console=console, refresh_per_second=8):
            result = asyncio.run(_run(settings, chain, inputs, library, signals, _painter(tree)))
    finally:
        if not console.is_terminal:  # where nothing is drawn over, the tree is left without its line end
            console.print()
    output(result["output"])


@app.command("test")
def test_cases(
    file: FileArgument,
    cases: Annotated[Path, typer.Argument(help="The cases: .yaml, .toml or .json.")],
    as_json: JsonOption = False,
) -> None:
    """Run a chain's cases with stubs in place of models and services. Exit code 1 when one does not hold."""
    chain = load(file)
    library = siblings(file, chain)
    logs.configure(level="error", levels={}, json=False, file=None, role="")
    listed = cases_of(read(text_of(cases), str(cases)).data)

    async def every() -> list[Verdict]:
        return [await tried(chain, library, case, number) for number, case in enumerate(listed, 1)]

    verdicts = asyncio.run(every())
    failed = sum(bool(verdict.problem) for verdict in verdicts)
    if as_json:
        told = [{"name": each.name, "holds": not each.problem, "problem": each.problem} for each in verdicts]
        typer.echo(msgspec.json.encode({"cases": told, "failed": failed}))
    else:
        for verdict in verdicts:
            typer.echo(
                f"{'no' if verdict.problem else 'ok'}  {verdict.name}{f': {verdict.problem}' if verdict.problem else ''}"
            )
        typer.echo(f"{len(verdicts) - failed} of {len(verdicts)} hold.")
    if failed:
        raise typer.Exit(1)


async def _run(
    settings: Settings,
    chain: Chain,
    inputs: dict[str, Any],
    library: Mapping[str, Chain],
    signals: dict[str, Any],
    hear: Listener,
) -> dict[str, Any]:
    section, began, run_id = settings.chain_engine, time.perf_counter(), "run_local"
    spent = {"cost_usd": 0.0, "input_tokens": 0, "output_tokens": 0}

    def listen(event: str, path: str, facts: Mapping[str, Any]) -> None:
        if event == "step_finished" and facts["kind"] == "llm":
            _add(spent, facts["ok"])
        if event == "step_waiting":
            if facts["signal"] not in signals:
                raise InvalidRequest(
                    f"Step '{path}' waits for '{facts['signal']}': give --signal {facts['signal']}=JSON."
                )
            runtime.signal(run_id, facts["signal"], signals[facts["signal"]])
        hear(event, path, facts)

    async with local_ports(settings) as ports:
        runtime = InProcessRuntime(Worker(ports, Cache(section.enable_caching)), section.max_parallel_steps)
        output = await runtime.run(chain, inputs, library, run_id=run_id, hear=listen)
    return {"output": output, "seconds": round(time.perf_counter() - began, 3), **spent}


def _add(spent: dict[str, Any], result: Mapping[str, Any]) -> None:
    spent["cost_usd"] += result.get("cost_usd") or 0.0
    for name, count in (result.get("usage") or {}).items():
        spent[name] += count


def _painter(tree: Tree) -> Listener:
    """Draws steps as they go, one line each."""
    lines: dict[str, Tree] = {}

    def paint(event: str, path: str, facts: Mapping[str, Any]) -> None:
        line = lines.get(path) or lines.setdefault(path, tree.add(path))
        took = (
            f" [dim]{facts['seconds'] * 1e3:.0f} ms{' cached' if facts['cached'] else ''}[/]"
            if "seconds" in facts
            else ""
        )
        line.label = (
            f"{_MARKS[event]} {path.replace('[', chr(92) + '[')} [dim]{facts.get('kind', '')}[/]{took}"
        )

    return paint


def _signal(text: str) -> tuple[str, Any]:
    name, _, value = text.partition("=")
    try:
        return name, msgspec.json.decode(value or "{}")
    except msgspec.DecodeError as error:
        raise InvalidRequest(f"--signal {name} is not JSON.", param="signal") from error
