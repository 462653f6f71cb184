"""The commands of `intellirouter chain` that ask a running ChainEngine."""

from __future__ import annotations

import asyncio
import importlib
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from intellirouter.chains.schema import NAME
from intellirouter.cli.chain_inputs import InputOption, inputs_of, types_there
from intellirouter.cli.chain_words import ended_badly, output, print_runs, standing, step_line
from intellirouter.cli.node_options import ConfigOption
from intellirouter.cli.plain import cells, none_of
from intellirouter.cli.server_client import ApiKeyOption, ask_once
from intellirouter.cli.text_files import text_of
from intellirouter.errors import InvalidRequest

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

UrlOption = Annotated[
    str | None,
    typer.Option(
        "--url",
        envvar="INTELLIROUTER_CHAIN_URL",
        help="The ChainEngine to ask; without it the one that runs here.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="For machines.")]
RunArgument = Annotated[str, typer.Argument(help="The id of a run.")]
NameArgument = Annotated[str, typer.Argument(help="The name of a chain.")]


@app.command()
def put(
    file: Annotated[Path, typer.Argument(help="A definition: .yaml, .toml or .json.")],
    share: Annotated[
        float | None, typer.Option(help="Percent of the runs that try it; the others go on as before.")
    ] = None,
    url: UrlOption = None,
    api_key: ApiKeyOption = None,
    config: ConfigOption = None,
) -> None:
    """Store a chain on the server, under the name that it gives itself; a file that is called otherwise is refused, unless no chain could be."""
    source = text_of(file)
    form = {".toml": "toml", ".json": "json"}.get(file.suffix, "yaml")
    read = importlib.import_module("intellirouter.chains.source").read  # for who stores: it reads YAML
    name = _named(file, read(source, file.name).chain_name)
    body: dict[str, Any] = {"source": source, "format": form}
    if share is not None:
        body["share"] = share
    answer, _ = _ask(config, url, api_key, "PUT", f"/v1/chains/{quote(name, safe='')}", body)
    tried = f" {answer['share']:g} % of its runs try revision {answer['trial']}." if answer["trial"] else ""
    typer.echo(f"The chain '{answer['id']}' is there, version {answer['version']}.{tried}")


def _named(file: Path, own: str) -> str:
    """What the chain of a file is called. A copy that still has the name of another is not to take that one's place."""
    stem = file.stem
    if not NAME.fullmatch(own):  # the server says what is wrong with it
        return stem
    if own != stem and NAME.fullmatch(stem):
        raise InvalidRequest(
            f"{file} defines the chain '{own}': rename the file to {own}{file.suffix}, or the chain to '{stem}'."
        )
    return own


@app.command()
def start(
    name: NameArgument,
    given: InputOption = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Until it has ended, however long that takes.")
    ] = False,
    priority: Annotated[
        int | None, typer.Option(help="Before what has less, where runs wait in line.")
    ] = None,
    queue: Annotated[str | None, typer.Option(help="One of [chain_engine.queues].")] = None,
    url: UrlOption = None,
    api_key: ApiKeyOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Start a run and print its id, or with --wait what came of it; exit code 1 then when it failed."""
    inputs = inputs_of(given or [], types_there(url, api_key, config, name))
    body: dict[str, Any] = {"input": inputs, "mode": "background"}
    body |= {name: given for name, given in (("priority", priority), ("queue", queue)) if given is not None}
    run, _ = _ask(config, url, api_key, "POST", f"/v1/chains/{quote(name, safe='')}/runs", body)
    if wait:
        typer.echo(f"{run['id']} goes on, also when this is interrupted.", err=True)
        ended = importlib.import_module("intellirouter.cli.chain_events").ended
        asyncio.run(ended(url, api_key, config, run["id"]))
        run, _ = _ask(config, url, api_key, "GET", _path(run["id"]))
    elif not as_json:
        typer.echo(run["id"])
        return
    _show(run, as_json=as_json)
    if wait and ended_badly(run):
        raise typer.Exit(1)


@app.command()
def ls(
    chain: Annotated[str | None, typer.Option(help="Only runs of this chain.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100)] = 20,
    url: UrlOption = None,
    api_key: ApiKeyOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List runs, the newest first."""
    only = f"&chain={quote(chain, safe='')}" if chain else ""
    found, _ = _ask(config, url, api_key, "GET", f"/v1/runs?limit={limit}{only}")
    if as_json:
        typer.echo(msgspec.json.encode(found["data"]))
        return
    print_runs(found["data"])


@app.command()
def status(
    run_id: RunArgument,
    url: UrlOption = None,
    api_key: ApiKeyOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one run: how it stands, its output or its error. Exit code 1 when it failed."""
    run, _ = _ask(config, url, api_key, "GET", _path(run_id))
    _show(run, as_json=as_json)
    if ended_badly(run):
        raise typer.Exit(1)


@app.command()
def logs(
    run_id: RunArgument,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Until it has ended.")] = False,
    url: UrlOption = None,
    api_key: ApiKeyOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print what a run has recorded, step by step, and how it stands; with -f also the words of models as they come. Exit code 1 when it failed."""
    if follow:
        # the client that streams is for who follows
        followed = importlib.import_module("intellirouter.cli.chain_events").followed
        run = asyncio.run(followed(url, api_key, config, run_id, as_json=as_json))
    else:
        run, _ = _ask(config, url, api_key, "GET", _path(run_id))  # first: what has ended is recorded whole
        steps, _ = _ask(config, url, api_key, "GET", f"{_path(run_id)}/steps")
        for step in steps["data"]:
            typer.echo(msgspec.json.encode(step) if as_json else step_line(step))
        if not as_json:
            typer.echo(standing(run))
    if ended_badly(run):
        raise typer.Exit(1)


@app.command()
def signal(
    run_id: RunArgument,
    name: Annotated[str, typer.Argument(help="The signal a step waits for.")],
    payload: Annotated[str, typer.Argument(help="A JSON object.")] = "{}",
    url: UrlOption = None,
    api_key: ApiKeyOption = None,
    config: ConfigOption = None,
) -> None:
    """Hand a signal to a run, such as an approval."""
    try:
        body = msgspec.json.decode(payload)
    except msgspec.DecodeError as cause:
        raise InvalidRequest("The payload is not JSON.", param="payload") from cause
    _ask(config, url, api_key, "POST", f"{_path(run_id)}/signals/{quote(name, safe='')}", body)
    typer.echo(f"'{name}' was handed over.")


@app.command()
def cancel(
    run_id: RunArgument, url: UrlOption = None, api_key: ApiKeyOption = None, config: ConfigOption = None
) -> None:
    """Cancel a run; the call it has under way is cut."""
    _act(run_id, "cancel", {}, url, api_key, config)


@app.command()
def resume(
    run_id: RunArgument, url: UrlOption = None, api_key: ApiKeyOption = None, config: ConfigOption = None
) -> None:
    """Let a cancelled run go on."""
    _act(run_id, "resume", {}, url, api_key, config)


@app.command()
def fork(
    run_id: RunArgument,
    step: Annotated[int, typer.Option(min=1, help="The number of the step, from `logs`.")],
    url: UrlOption = None,
    api_key: ApiKeyOption = None,
    config: ConfigOption = None,
) -> None:
    """Start a new run that keeps what an ended one recorded before a step."""
    _act(run_id, "fork", {"step": step}, url, api_key, config)


@app.command()
def nodes(
    url: UrlOption = None,
    api_key: ApiKeyOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the nodes that share the runs."""
    found, _ = _ask(config, url, api_key, "GET", "/v1/nodes")
    if as_json:
        typer.echo(msgspec.json.encode(found["data"]))
        return
    table = Table("node", "last heard of", "alive")
    for node in found["data"]:
        table.add_row(
            *cells(node["node"], f"{node['age_seconds']:.1f} s ago"), "yes" if node["alive"] else "[red]no[/]"
        )
    Console().print(table)


@app.command()
def queue(
    url: UrlOption = None,
    api_key: ApiKeyOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show how many runs wait in line, and for how long."""
    found, _ = _ask(config, url, api_key, "GET", "/v1/queue")
    if as_json:
        typer.echo(msgspec.json.encode(found["data"]))
        return
    table = Table("queue", "waiting", "longest wait", "running here", "at once", "a minute")
    for each in found["data"]:
        limits = (str(each[name] or "-") for name in ("concurrency", "starts_per_minute"))
        longest = f"{each['longest_wait_seconds']:.1f} s" if each["waiting"] else "-"
        table.add_row(
            *cells(each["queue"], str(each["waiting"]), longest, str(each["running_here"]), *limits)
        )
    Console().print(table)


@app.command()
def schedule(
    name: Annotated[str, typer.Argument(help="The name of the schedule.")],
    chain: Annotated[str | None, typer.Option(help="The chain to run.")] = None,
    cron: Annotated[str | None, typer.Option(help="Five fields, such as '0 7 * * mon-fri'.")] = None,
    timezone: Annotated[str, typer.Option(help="As Europe/Berlin.")] = "UTC",
    given: InputOption = None,
    delete: Annotated[bool, typer.Option("--delete", help="Remove it.")] = False,
    pause: Annotated[bool | None, typer.Option("--pause/--resume", help="Hold it, or let it go on.")] = None,
    url: UrlOption = None,
    api_key: ApiKeyOption = None,
    config: ConfigOption = None,
) -> None:
    """Run a chain by the clock; or pause, resume or remove a schedule."""
    path = f"/v1/schedules/{quote(name, safe='')}"
    if delete:
        _ask(config, url, api_key, "DELETE", path)
        typer.echo(f"The schedule '{name}' is gone.")
        return
    if pause is not None:
        _ask(config, url, api_key, "POST", f"{path}/{'pause' if pause else 'resume'}", {})
        typer.echo(f"The schedule '{name}' is {'paused' if pause else 'active'}.")
        return
    if chain is None or cron is None:
        raise InvalidRequest("A schedule needs --chain and --cron.", param="cron")
    inputs = inputs_of(given or [], types_there(url, api_key, config, chain))
    body = {"chain": chain, "cron": cron, "timezone": timezone, "input": inputs}
    made, _ = _ask(config, url, api_key, "PUT", path, body)
    typer.echo(f"The schedule '{name}' starts '{chain}' next at {_next(made)} ({made['timezone']}).")


@app.command()
def schedules(
    url: UrlOption = None,
    api_key: ApiKeyOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the schedules."""
    found, _ = _ask(config, url, api_key, "GET", "/v1/schedules")
    if as_json:
        typer.echo(msgspec.json.encode(found["data"]))
        return
    if none_of(found["data"], "No schedule."):
        return
    table = Table("schedule", "chain", "cron", "time zone", "next")
    for each in found["data"]:
        next_at = _next(each) if each["next_at"] else each["status"]
        table.add_row(*cells(each["id"], each["chain"], each["cron"], each["timezone"], next_at))
    Console().print(table)


def _next(schedule: dict[str, Any]) -> str:
    """When it is due, by the clock of its own zone: that is what its fields say."""
    due = datetime.fromisoformat(schedule["next_at"]).astimezone(ZoneInfo(schedule["timezone"]))
    return due.strftime("%Y-%m-%d %H:%M")


def _act(
    run_id: str, what: str, body: dict[str, Any], url: str | None, api_key: str | None, config: Path | None
) -> None:
    run, _ = _ask(config, url, api_key, "POST", f"{_path(run_id)}/{what}", body)
    typer.echo(standing(run))


def _ask(
    config: Path | None,
    url: str | None,
    api_key: str | None,
    method: str,
    path: str,
    body: object | None = None,
) -> tuple[Any, dict[str, str]]:
    return ask_once(url, api_key, method, path, body, role="ChainEngine", config=config)


def _path(run_id: str) -> str:
    return f"/v1/runs/{quote(run_id, safe='')}"


def _show(run: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        typer.echo(msgspec.json.encode(run))
        return
    typer.echo(standing(run))
    if run["status"] == "succeeded":
        output(run["output"])
