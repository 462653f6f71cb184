"""`intellirouter route`: why a request goes where it goes, what was learnt, and what a router would have saved."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlencode

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from intellirouter.cli.node_address import address_of
from intellirouter.cli.node_options import ConfigOption
from intellirouter.cli.route_eval import curve_of, curve_told, drawn, lines_of, svg
from intellirouter.cli.server_client import ApiKeyOption, UrlOption, ask_bytes, ask_once
from intellirouter.counts import counted
from intellirouter.errors import InvalidRequest
from intellirouter.inference.learning.evaluation import by_prior, evaluated
from intellirouter.inference.learning.prior import KINDS, shipped

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
Json = Annotated[bool, typer.Option("--json", help="For machines.")]


@app.command()
def explain(
    prompt: Annotated[str, typer.Argument(help="What would be asked.")],
    model: Annotated[str, typer.Option(help="The model or group.")] = "auto",
    as_json: Json = False,
    url: UrlOption = None,
    api_key: ApiKeyOption = None,
    config: ConfigOption = None,
) -> None:
    """Where a prompt would go, with the scores of each target. Nothing is asked."""
    body = {"prompt": prompt, "model": model}
    answer, _ = ask_once(url, api_key, "POST", "/admin/routing/explain", body, config=config)
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(answer)))
        return
    selection = answer.get("selection")
    if "guards" in answer:
        typer.echo(f"guards: {answer['guards']}")
    for feature, how in answer.get("switched", {}).items():
        typer.echo(f"{feature} is {how} (intellirouter features ls): nothing is decided by what was learnt.")
    if selection is None:
        first, *others = answer["order"] or ["nobody"]
        typer.echo(f"{answer['model']} → {first}  (strategy {answer['strategy']})")
        if others:
            typer.echo(f"if that fails: {', '.join(others)}")
        return
    typer.echo(
        f"{answer['model']} → {answer['order'][0]}  ({_REASONS.get(selection['reason'], selection['reason'])})"
    )
    table = _table("target", "success", "cost", "seconds", "worth", "outcomes")
    for row in selection["targets"]:
        table.add_row(
            row["target"],
            f"{row['success']:.2f}",
            f"${row['cost_usd']:.6f}" if "cost_usd" in row else "unknown",
            f"{row['seconds']:.1f}" if "seconds" in row else "unknown",
            f"{row['worth']:.2f}" if "worth" in row else "",
            str(row["outcomes"]),
        )
    _print(table)


_REASONS = {
    "learned": "by what was learnt",
    "prior": "by price and how hard the question looks; nothing was learnt yet",
    "cold": "nothing was learnt yet: the operator's order",
    "default": "not sure enough: the default",
    "explored": "to learn",
    "sticky": "the conversation stays",
}


@app.command()
def status(
    as_json: Json = False, url: UrlOption = None, api_key: ApiKeyOption = None, config: ConfigOption = None
) -> None:
    """What was learnt of each target, how sure that is, and what was decided since the start."""
    answer, _ = ask_once(url, api_key, "GET", "/admin/routing", config=config)
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(answer)))
        return
    if not answer["groups"]:
        typer.echo("Nothing was learnt yet. POST /v1/feedback says how answers were.")
    for group in answer["groups"]:
        trained = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(group["trained"]))
        more = "; explores more, since a target changed" if group["exploring"] else ""
        typer.echo(f"{group['group']}: {counted(group['version'], 'outcome')}, last learnt {trained}{more}")
        table = _table("target", "outcomes", "success", "sure", *KINDS, "trend")
        for row in group["targets"]:
            kinds = {kind["kind"]: kind for kind in row["kinds"]}
            table.add_row(
                row["target"],
                f"{row['outcomes']:,}",
                f"{row['success']:.2f}",
                f"{row['confidence']:.0%}",
                *(f"{kinds[kind]['success']:.2f}" if kind in kinds else "" for kind in KINDS),
                _sparks([point["success"] for point in row["trend"]]),
            )
        _print(table)
    if answer["decisions"]:
        table = _table("group", "target", "why", "count", "sure", "expected to save")
        for row in answer["decisions"]:
            table.add_row(
                row["group"],
                row["target"],
                row["reason"],
                f"{row['count']:,}",
                f"{row['confidence']:.0%}",
                f"${row['saved_usd']:.4f}",
            )
        _print(table)


@app.command("eval")
def evaluate(
    file: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help='JSON Lines of {"prompt", "weak", "strong"}.')
    ],
    picture: Annotated[Path | None, typer.Option("--svg", help="Draw the curve into this file too.")] = None,
    group: Annotated[
        str | None,
        typer.Option(help="By what the running node learnt of this group, `auto` or a model that learns."),
    ] = None,
    weak: Annotated[str | None, typer.Option(help="With --group: its target of the weak scores.")] = None,
    strong: Annotated[str | None, typer.Option(help="With --group: its target of the strong scores.")] = None,
    as_json: Json = False,
    url: UrlOption = None,
    api_key: ApiKeyOption = None,
    config: ConfigOption = None,
) -> None:
    """Quality against the share of requests at the strong model, by how hard each prompt looks. Needs no running node.

    With --group it is by what was learnt: of the cheapest and the dearest target, where none is named.
    """
    if group is None and (weak or strong):
        raise InvalidRequest("--weak and --strong are targets of a group: name it with --group.")
    if group is None:
        evaluation = evaluated(lines_of(file), by_prior(shipped()))
        found, figures = curve_of(evaluation), evaluation.figures()
    else:
        asked = {"group": group, "weak": weak or "", "strong": strong or ""}
        path = f"/admin/routing/eval?{urlencode(asked)}"
        data = b"\n".join(lines_of(file))
        figures = msgspec.json.decode(
            ask_bytes(address_of("Router", url, config), api_key, "POST", path, data)[0]
        )
        found = curve_told(figures)
    if picture is not None:
        picture.write_text(svg(found), encoding="utf-8")
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(figures)))
        return
    typer.echo(drawn(found))


def _sparks(values: list[float]) -> str:
    """The newest of a trend as small bars, 0 to 1."""
    return "".join("▁▂▃▄▅▆▇█"[min(7, int(value * 8))] for value in values[-12:])


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for number, column in enumerate(columns):
        table.add_column(column, overflow="fold", justify="left" if number == 0 else "right")
    return table


def _print(table: Any) -> None:
    Console(highlight=False, markup=False).print(table)
