"""`intellirouter alerts`: what is not as it should be; take it on, keep it silent, try the channels."""

from __future__ import annotations

import re
import time
from typing import Annotated, Any
from urllib.parse import quote

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from intellirouter.cli.node_options import ConfigOption
from intellirouter.cli.plain import cells, none_of, wrapped
from intellirouter.cli.server_client import ApiKeyOption, UrlOption, ask_once
from intellirouter.counts import counted
from intellirouter.errors import InvalidRequest

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

Json = Annotated[bool, typer.Option("--json", help="For machines.")]
Note = Annotated[str, typer.Option(help="Why, for the others.")]
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


@app.command("ls")
def listed(
    rules: Annotated[
        bool, typer.Option("--rules", help="The rules that are judged, in place of alerts.")
    ] = False,
    as_json: Json = False,
    url: UrlOption = None,
    api_key: ApiKeyOption = None,
    config: ConfigOption = None,
) -> None:
    """Alerts, the worst first, and what is kept silent. Exit code 0: none is critical, 1: one is."""
    answer, _ = ask_once(url, api_key, "GET", "/admin/alerts", config=config)
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(answer)))
    elif rules:
        _print(_rules(answer["rules"]))
    else:
        _show(answer)
    if any(row["severity"] == "critical" and row["status"] == "firing" for row in answer["data"]):
        raise typer.Exit(1)


@app.command()
def history(
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=500)] = 20,
    as_json: Json = False,
    url: UrlOption = None,
    api_key: ApiKeyOption = None,
    config: ConfigOption = None,
) -> None:
    """What happened, the latest at the bottom."""
    answer, _ = ask_once(url, api_key, "GET", f"/admin/alerts/history?limit={limit}", config=config)
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(answer["data"])))
        return
    if none_of(answer["data"], "Nothing happened yet."):
        return
    for row in reversed(answer["data"]):
        of = " ".join(
            part for part in (row.get("rule") or row.get("title", ""), row.get("subject", "")) if part
        )
        by = f"by {row['by']}" if row.get("by") else ""
        _told(
            f"{_when(row['at'])}  {row['what']:<13}",
            " ".join(part for part in (row.get("severity", ""), of, by) if part),
            row.get("note", ""),
        )


@app.command()
def ack(
    alert: Annotated[str, typer.Argument(help="The id of an alert, or its beginning.")],
    note: Note = "",
    url: UrlOption = None,
    api_key: ApiKeyOption = None,
    config: ConfigOption = None,
) -> None:
    """Take an alert on: nobody else is told, until it gets worse."""
    path = f"/admin/alerts/{quote(alert, safe='')}/acknowledge"
    row, _ = ask_once(url, api_key, "POST", path, {"note": note}, config=config)
    typer.echo(f"{row['id']}: {_of(row)} is yours")


@app.command()
def silence(
    rule: Annotated[str, typer.Argument(help="A rule; * stands for any letters.")],
    subject: Annotated[
        str, typer.Option(help="Only of this: a node, a provider, …; * for any letters.")
    ] = "*",
    lasting: Annotated[str, typer.Option("--for", help="30m, 2h, 7d.")] = "2h",
    note: Note = "",
    end: Annotated[bool, typer.Option("--end", help="Take back the silence whose id is given.")] = False,
    url: UrlOption = None,
    api_key: ApiKeyOption = None,
    config: ConfigOption = None,
) -> None:
    """Tell nobody of what matches, for a while."""
    if end:
        path = f"/admin/alerts/silences/{quote(rule, safe='')}"
        row, _ = ask_once(url, api_key, "DELETE", path, config=config)
        typer.echo(f"{row['id']}: {row['rule']} is told again")
        return
    body = {"rule": rule, "subject": subject, "seconds": _seconds(lasting), "note": note}
    row, _ = ask_once(url, api_key, "POST", "/admin/alerts/silences", body, config=config)
    typer.echo(f"{row['id']}: {row['rule']} of {row['subject']} is kept silent until {_when(row['until'])}")


@app.command()
def test(
    channel: Annotated[str | None, typer.Argument(help="One of [[alerts.channels]]; without it all.")] = None,
    as_json: Json = False,
    url: UrlOption = None,
    api_key: ApiKeyOption = None,
    config: ConfigOption = None,
) -> None:
    """Send a message that says it is a test. Exit code 1 when one did not go out."""
    body = {} if channel is None else {"channel": channel}
    answer, _ = ask_once(url, api_key, "POST", "/admin/alerts/test", body, config=config)
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(answer["data"])))
    else:
        table = _table("channel", "sent", "took", "")
        for row in answer["data"]:
            sent = "yes" if row["sent"] else "no"
            table.add_row(*cells(row["channel"], sent, f"{row['seconds']:.1f} s", row["error"]))
        _print(table)
    if not all(row["sent"] for row in answer["data"]):
        raise typer.Exit(1)


def _show(answer: dict[str, Any]) -> None:
    if not answer["enabled"]:
        typer.echo(
            "Alerts are off here: name a channel in [[alerts.channels]], or set [alerts] enabled = true."
        )
    elif not answer["data"]:
        typer.echo(f"No alert: {counted(len(answer['rules']), 'rule is judged', 'rules are judged')}.")
    if answer["data"]:
        for row in answer["data"]:
            _told(
                f"{row['severity']:<9}",
                f"{_of(row)}: {row['figure']}, {_standing(row)}",
                row["note"],
                f"since {_when(row['fired'] or row['since'])}" + (f", id {row['id']}" if row["id"] else ""),
                f"→ {row['advice']}",
            )
    for row in answer["silences"]:
        whose = f" by {row['by']}" if row.get("by") else ""
        typer.echo(
            f"silent until {_when(row['until'])}: {row['rule']} of {row['subject']}{whose} ({row['id']})"
        )
    for row in answer["channels"]:
        if row["error"]:
            typer.echo(
                f"channel {row['name']}: {counted(row['waiting'], 'message waits', 'messages wait')}: {row['error']}"
            )


def _told(head: str, *lines: str) -> None:
    """A line, and below it what belongs to it, broken between words."""
    indent, first = len(head) + 1, True
    for line in lines:
        for piece in wrapped(line, max(20, Console().width - indent)) if line else ():
            typer.echo(f"{head if first else '':<{indent}}{piece}")
            first = False


def _rules(rows: list[dict[str, Any]]) -> Table:
    table = _table("rule", "title", "warning", "critical", "lasting")
    for row in rows:
        at: dict[str, list[str]] = {"warning": [], "critical": []}
        for level in row["levels"]:
            at[level["severity"]].append(f"{'≤' if row['below'] else '≥'} {level['at']:g}")
        lasting = f"{row['for_seconds']:g} s" if row["for_seconds"] else "at once"
        unit = f" ({row['unit']})" if row["unit"] else ""
        table.add_row(
            *cells(
                row["name"], row["title"] + unit, ", ".join(at["warning"]), ", ".join(at["critical"]), lasting
            )
        )
    return table


def _of(row: dict[str, Any]) -> str:
    return f"{row['title']}: {row['subject']}" if row["subject"] else str(row["title"])


def _standing(row: dict[str, Any]) -> str:
    if row["status"] == "pending":
        return "pending"
    if row["acknowledged"]:
        return f"taken on by {row['acknowledged']['by']}"
    return "silent" if row["silenced_until"] else "firing"


def _seconds(text: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", text.strip())
    if found is None:
        raise InvalidRequest(f"'{text}' is no duration: 30m, 2h, 7d.", param="--for")
    return float(found[1]) * _SECONDS[found[2]]


def _when(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _print(table: Table) -> None:
    Console(highlight=False, markup=False).print(table)
