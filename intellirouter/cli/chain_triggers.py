"""`intellirouter chain trigger` and `triggers`: what starts chains by itself."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from intellirouter.cli.chain_inputs import InputOption, inputs_of, types_there
from intellirouter.cli.chain_server import JsonOption, UrlOption
from intellirouter.cli.node_options import ConfigOption
from intellirouter.cli.plain import cells
from intellirouter.cli.server_client import ApiKeyOption, ask_once
from intellirouter.errors import InvalidRequest

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.command()
def trigger(
    name: Annotated[str, typer.Argument(help="The name of the trigger.")],
    chain: Annotated[str | None, typer.Option(help="The chain it starts.")] = None,
    webhook: Annotated[bool, typer.Option("--webhook", help="At signed requests to an address.")] = False,
    signature: Annotated[str | None, typer.Option(help="Of a webhook: standard, github or gitlab.")] = None,
    event: Annotated[str | None, typer.Option(help="At events of this type, as order.*")] = None,
    folder: Annotated[str | None, typer.Option(help="At new files in this folder.")] = None,
    pattern: Annotated[str | None, typer.Option(help="Of the files' names, as *.txt")] = None,
    after: Annotated[str | None, typer.Option(help="When runs of this chain have ended.")] = None,
    status: Annotated[
        list[str] | None, typer.Option(help="With --after: succeeded, failed or cancelled.")
    ] = None,
    given: InputOption = None,
    pause: Annotated[bool | None, typer.Option("--pause/--resume", help="Hold it, or let it go on.")] = None,
    delete: Annotated[bool, typer.Option("--delete", help="Remove it.")] = False,
    url: UrlOption = None,
    api_key: ApiKeyOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Start a chain when something happens; or pause, resume or remove a trigger."""

    def ask(method: str, path: str, body: object | None = None) -> Any:
        return ask_once(url, api_key, method, path, body, role="ChainEngine", config=config)[0]

    path = f"/v1/triggers/{quote(name, safe='')}"
    if delete:
        ask("DELETE", path)
        typer.echo(f"The trigger '{name}' is gone.")
        return
    if pause is not None:
        ask("POST", f"{path}/{'pause' if pause else 'resume'}", {})
        typer.echo(f"The trigger '{name}' is {'paused' if pause else 'active'}.")
        return
    kinds = {"webhook": webhook, "event": event, "folder": folder, "run": after}
    chosen = [kind for kind, value in kinds.items() if value]
    if chain is None or len(chosen) != 1:
        raise InvalidRequest(
            "A trigger needs --chain, and one of --webhook, --event, --folder and --after.", param="--chain"
        )
    body: dict[str, Any] = {"kind": chosen[0], "chain": chain}
    own = {"type": event, "folder": folder, "of": after, "pattern": pattern, "signature": signature}
    body |= {key: value for key, value in own.items() if value is not None}
    if status:
        body["status"] = status
    if given:
        body["input"] = inputs_of(given, types_there(url, api_key, config, chain))
    made = ask("PUT", path, body)
    if as_json:
        typer.echo(msgspec.json.encode(made))
        return
    typer.echo(f"The trigger '{name}' starts '{chain}'.")
    if chosen == ["webhook"]:
        typer.echo(f"address: {made['url']}")
        typer.echo(f"secret:  {made.get('secret', 'as before')}")


@app.command()
def triggers(
    url: UrlOption = None,
    api_key: ApiKeyOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the triggers."""
    found: Any
    found, _ = ask_once(url, api_key, "GET", "/v1/triggers", role="ChainEngine", config=config)
    if as_json:
        typer.echo(msgspec.json.encode(found["data"]))
        return
    table = Table("trigger", "at", "starts", "status", "why nothing was started")
    for each in found["data"]:
        what = (
            each.get("path")
            or each.get("type")
            or each.get("of")
            or f"{each.get('folder')}/{each.get('pattern')}"
        )
        at = f"{each['kind']} {what}"
        table.add_row(*cells(each["id"], at, each["chain"], each["status"], each["message"] or ""))
    Console().print(table)
