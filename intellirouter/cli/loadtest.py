"""`intellirouter loadtest`: how many requests a second a node takes before it slows down."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Any

import aiohttp
import msgspec
import typer

from intellirouter.cli.load_steps import Bend, Step, find, step
from intellirouter.cli.node_options import ConfigOption
from intellirouter.cli.server_client import ApiKeyOption, UrlOption
from intellirouter.cli.server_session import ask as asked
from intellirouter.cli.server_session import session_of
from intellirouter.errors import UpstreamUnavailable

PATH = "/v1/chat/completions"
REQUEST_SECONDS = 30.0
CANNED = "x-intellirouter-canned"
_HEADER = f"{'rate/s':>9} {'sent':>7} {'errors':>7} {'p50 ms':>9} {'p90 ms':>9} {'p99 ms':>9}"


def command(
    model: Annotated[
        str, typer.Option(help="Asked for. 'offline' costs nothing and needs no provider.")
    ] = "offline",
    rate: Annotated[
        float | None,
        typer.Option(min=0.1, max=20_000, help="Requests a second; without it the bend is looked for."),
    ] = None,
    seconds: Annotated[float, typer.Option(min=0.5, max=3600, help="For each rate.")] = 5.0,
    prompt: Annotated[str, typer.Option(help="What is asked.")] = "Grass is green. What is green?",
    max_tokens: Annotated[int, typer.Option(min=1, max=100_000, help="Of each answer at most.")] = 16,
    url: UrlOption = None,
    api_key: ApiKeyOption = None,
    config: ConfigOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Send requests at a rate, answered or not, and find the rate at which the slowest hundredth takes twice as long.

    Real models cost real money here: the cache is left out. Exit code 1 when more than a hundredth fails at --rate.
    """
    body = {
        "model": model,
        "messages": [{"role": "user", "content": prompt}],
        "max_tokens": max_tokens,
        "intellirouter": {"cache_control": "no-store"},
    }
    if not as_json:
        if model == "offline":
            typer.echo("The model 'offline' answers at once: this is what the node itself takes.")
        typer.echo(_HEADER)
    found = asyncio.run(_measured(body, rate, seconds, url, api_key, config, quiet=as_json))
    if isinstance(found, Step):
        if as_json:
            typer.echo(msgspec.json.encode(_shown(found)))
        if found.failing:
            raise typer.Exit(1)
        return
    if as_json:
        report = {
            "base_p99_seconds": found.base_p99,
            "holds_per_second": found.holds,
            "bends_per_second": found.bends,
            "doubles_per_second": found.doubles,
            "steps": [_shown(one) for one in found.steps],
        }
        typer.echo(msgspec.json.encode(report))
    elif found.doubles is not None:
        typer.echo(
            f"p99 doubles at about {found.doubles:.0f} requests/s "
            f"(idle {found.base_p99 * 1e3:.1f} ms; {found.holds:.0f}/s holds, {found.bends:.0f}/s does not)"
        )
    else:
        typer.echo(f"It holds at {found.holds:.0f} requests/s, and this machine sends no more.")


async def _measured(
    body: dict[str, Any],
    rate: float | None,
    seconds: float,
    url: str | None,
    api_key: str | None,
    config: Path | None,
    *,
    quiet: bool,
) -> Step | Bend:
    data = msgspec.json.encode(body)
    timeout = aiohttp.ClientTimeout(total=REQUEST_SECONDS)
    async with session_of(url, api_key, "Router", config, most=0) as session:
        _, headers = await asked(
            session, "POST", PATH, body
        )  # what is wrong is said before anything is measured
        if CANNED in headers:
            raise UpstreamUnavailable(
                f"Nobody answers for '{body['model']}': the server gave its canned answer."
            )

        async def ask() -> bool:
            try:
                async with session.post(PATH, data=data, timeout=timeout) as reply:
                    await reply.read()
                    return reply.status < 400 and CANNED not in reply.headers
            except (aiohttp.ClientError, TimeoutError):
                return False

        def tell(one: Step) -> None:
            if not quiet:
                typer.echo(_line(one))

        if rate is None:
            return await find(ask, seconds, tell)
        one = await step(ask, rate, seconds)
        tell(one)
        return one


def _line(one: Step) -> str:
    times = " ".join(f"{one.percentile(share) * 1e3:9.1f}" for share in (0.5, 0.9, 0.99))
    notes = ("  far behind" if one.overrun else "") + ("  sent late" if one.late else "")
    return f"{one.rate:9.1f} {one.sent:7} {one.errors:7} {times}{notes}"


def _shown(one: Step) -> dict[str, Any]:
    percentiles = {
        f"p{share * 100:g}_seconds": one.percentile(share) if one.seconds else None
        for share in (0.5, 0.9, 0.95, 0.99, 0.999)
    }
    return {
        "rate": one.rate,
        "sent": one.sent,
        "errors": one.errors,
        "overrun": one.overrun,
        "late": one.late,
        **percentiles,
    }
