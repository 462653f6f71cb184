"""`intellirouter report`: how a node did, for people, for machines, and as a page to send around."""

from __future__ import annotations

import html
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from intellirouter.cli.node_options import ConfigOption
from intellirouter.cli.plain import cells, print_fitting
from intellirouter.cli.record_options import DaysOption, JsonOption, dollars, duration, query
from intellirouter.cli.server_client import (
    ApiKeyOption,
    ServerRefused,
    UrlOption,
    ask_once,
)
from intellirouter.counts import counted

MAX_GROUPS = 15
OURS = (408, 429, 499)
"""Of the 4xx those that tell of the node or its providers: what took too long, what was too much, who did not wait."""
WARNS, ALARMS = (0.05, 5.0), (0.10, 10.0)
"""Share of failed requests, and p95 in seconds, from which on a report warns and alarms."""

Json = dict[str, Any]
_COLUMNS = ("requests", "success", "p50", "p95", "p99", "$", "saved $", "score")


def command(
    days: DaysOption = 7,
    file: Annotated[Path | None, typer.Option("--html", help="Write it to this file as a page.")] = None,
    url: UrlOption = None,
    api_key: ApiKeyOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Success, times, models, confidence, cost and cache of the last days. Exit code 1 when something is at an alarming level."""
    report = _gathered(days, url, api_key, config)
    if as_json:
        typer.echo(msgspec.json.encode(report))
    else:
        _print(report)
    if file is not None:
        file.write_text(page(report), encoding="utf-8")
        if not as_json:
            typer.echo(f"Written to {file}.")
    if any(finding["level"] == "alarm" for finding in report["findings"]):
        raise typer.Exit(1)


def _gathered(days: float, url: str | None, api_key: str | None, config: Path | None) -> Json:
    groups: dict[str, Json] = {}
    for by in ("model", "provider", "day"):
        groups[by], _ = ask_once(url, api_key, "GET", query("/admin/usage", by=by, days=days), config=config)
    cache = _maybe(url, api_key, "/admin/cache", config)
    mistakes = _mistakes(days, url, api_key, config)
    total = groups["model"]["total"]
    report: Json = {
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "from": groups["model"]["from"],
        "to": groups["model"]["to"],
        "total_requests": total["requests"],
        "success_rate": 1 - total["error_rate"] if total["requests"] else None,
        "total": total,
        "callers_mistakes": {"requests": sum(mistakes.values()), "models": mistakes},
        "models": groups["model"]["data"],
        "providers": groups["provider"]["data"],
        "days": groups["day"]["data"],
        "confidence": {
            "score": total["score"],
            "rated": total["rated"],
            "days": [
                {name: day[name] for name in ("day", "score", "rated")} for day in groups["day"]["data"]
            ],
        },
        "cache_stats": {
            "hits": total["cache_hits"],
            "hit_rate": total["cache_hits"] / total["requests"] if total["requests"] else None,
            "this_process": cache,
        },
    }
    report["findings"] = _findings(report)
    return report


def _mistakes(days: float, url: str | None, api_key: str | None, config: Path | None) -> dict[str, int]:
    """How many requests were refused by fault of their callers, by the model that they named: it may be one that is not there."""

    def of(status: str) -> dict[str, int]:
        path = query("/admin/usage", by="model", days=days, status=status)
        answer, _ = ask_once(url, api_key, "GET", path, config=config)
        return {group["model"]: group["requests"] for group in answer["data"]}

    found = of("4xx")
    for status in OURS if found else ():
        for model, count in of(str(status)).items():
            found[model] = found.get(model, 0) - count
    return {model: count for model, count in found.items() if count > 0}


def _maybe(url: str | None, api_key: str | None, path: str, config: Path | None) -> Json | None:
    """What only some keys may see, or only some nodes have."""
    try:
        answer, _ = ask_once(url, api_key, "GET", path, config=config)
    except ServerRefused:
        return None
    return answer if isinstance(answer, dict) else None


def _findings(report: Json) -> list[Json]:
    found: list[Json] = []
    mistakes = report["callers_mistakes"]
    for kind, groups in (("in all", [{"name": "", **report["total"]}]), ("model", report["models"])):
        for group in groups:
            name = f"{kind} {group[kind]}" if kind in group else kind
            theirs = mistakes["models"].get(group["model"], 0) if kind in group else mistakes["requests"]
            failed = max(0, group["errors"] - theirs) / group["requests"] if group["requests"] else 0.0
            for what, value, warns, alarms, shown in (
                ("failed requests", failed, WARNS[0], ALARMS[0], f"{failed:.1%}"),
                ("p95", group["p95"] or 0.0, WARNS[1], ALARMS[1], duration(group["p95"])),
            ):
                if value > warns:
                    level = "alarm" if value > alarms else "warning"
                    found.append({"level": level, "what": f"{name}: {what} {shown}"})
    if mistakes["requests"]:
        model, most = max(mistakes["models"].items(), key=lambda one: one[1])
        words = f"{counted(mistakes['requests'], 'request was', 'requests were')} refused as the callers' own mistake"
        found.append({"level": "note", "what": f"{words}, {most:,} for the model {model or '(none)'}"})
    return found


def _print(report: Json) -> None:
    console = Console()
    total = report["total"]
    console.print(f"From {report['from'][:16]} to {report['to'][:16]} UTC", highlight=False)
    if not total["requests"]:
        console.print("No request asked a model in this time.")
        return
    facts = Table(box=None, pad_edge=False, show_header=False)
    for name, value in _facts(report):
        facts.add_row(*cells(name, value))
    console.print(facts)
    for title, key in (("Models", "model"), ("Providers", "provider"), ("Days", "day")):
        console.print()
        columns = (key, *_COLUMNS)
        print_fitting(
            columns, _lines(report[f"{key}s"], key), key, least=12, leaves=("p99",), left=(key,), title=title
        )
    for finding in report["findings"]:
        console.print(f"{finding['level']}: {finding['what']}", highlight=False, markup=False)


def _facts(report: Json) -> list[tuple[str, str]]:
    total, cache = report["total"], report["cache_stats"]
    return [
        ("requests", f"{total['requests']:,}, of which {total['errors']:,} failed{_theirs(report)}"),
        ("success", f"{report['success_rate']:.2%}"),
        ("time (p50, p95, p99)", ", ".join(duration(total[name]) for name in ("p50", "p95", "p99"))),
        (
            "first token (p50, p95)",
            ", ".join(duration(total[f"first_token_{n}"]) for n in ("p50", "p95")).strip(", "),
        ),
        (
            "tokens (in, out, cached)",
            ", ".join(f"{total[f'{n}_tokens']:,}" for n in ("input", "output", "cached")),
        ),
        ("cost", f"{dollars(total['cost_usd'])} US dollars"),
        ("saved by routing", f"{dollars(total['saved_usd'])} US dollars against the dearest targets"),
        (
            "feedback",
            f"{counted(total['rated'], 'answer')}, on average {_score(total)}"
            if total["rated"]
            else "none was given",
        ),
        ("cache", f"{counted(cache['hits'], 'hit')}, {cache['hit_rate']:.1%}"),
    ]


def _theirs(report: Json) -> str:
    count = report["callers_mistakes"]["requests"]
    return f", {count:,} by mistakes of callers" if count else ""


def _lines(groups: list[Json], key: str) -> list[list[str]]:
    return [
        [
            group[key],
            f"{group['requests']:,}",
            f"{1 - group['error_rate']:.1%}",
            *(duration(group[name]) for name in ("p50", "p95", "p99")),
            dollars(group["cost_usd"]),
            dollars(group["saved_usd"]),
            _score(group),
        ]
        for group in groups[:MAX_GROUPS]
    ]


def _score(group: Json) -> str:
    return "" if group["score"] is None else f"{group['score']:.2f}"


_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>IntelliRouter report</title>
<style>
:root {{ color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif }}
body {{ max-width: 60rem; margin: 2rem auto; padding: 0 1rem }}
table {{ border-collapse: collapse; width: 100%; margin: 0.5rem 0 2rem; font-variant-numeric: tabular-nums }}
th, td {{ text-align: right; padding: 0.3rem 0.6rem; border-bottom: 1px solid #8884 }}
th:first-child, td:first-child {{ text-align: left; overflow-wrap: anywhere }}
.alarm {{ color: #c22 }} .warning {{ color: #a60 }}
</style>
<h1>IntelliRouter report</h1><p>{span}</p>{findings}
<table>{facts}</table>{tables}
</html>
"""


def page(report: Json) -> str:
    """The report as one page of HTML that needs nothing else."""
    span = f"From {report['from'][:16]} to {report['to'][:16]} UTC, made {report['made'][:16]}."
    if not report["total"]["requests"]:
        return _PAGE.format(
            span=html.escape(span), findings="<p>No request asked a model.</p>", facts="", tables=""
        )
    tables = "".join(
        f"<h2>{title}</h2><table>{_html_row((key, *_COLUMNS), 'th')}"
        + "".join(_html_row(line, "td") for line in _lines(report[f"{key}s"], key))
        + "</table>"
        for title, key in (("Models", "model"), ("Providers", "provider"), ("Days", "day"))
    )
    findings = "".join(
        f'<p class="{found["level"]}">{found["level"]}: {html.escape(found["what"])}</p>'
        for found in report["findings"]
    )
    facts = "".join(_html_row(fact, "td") for fact in _facts(report))
    return _PAGE.format(span=html.escape(span), findings=findings, facts=facts, tables=tables)


def _html_row(values: Any, tag: str) -> str:
    return "<tr>" + "".join(f"<{tag}>{html.escape(str(value))}</{tag}>" for value in values) + "</tr>"
