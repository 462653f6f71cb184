"""A run along the time: each recorded step from when to when, as data and as a picture."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from intellirouter.chains.drawing.marks import cost_of, failed, lasting
from intellirouter.chains.drawing.svg import MARGIN, framed
from intellirouter.counts import counted

MAX_BARS = 500
"""Steps that are drawn; the data holds all."""
_NAMES, _ROOM, _ROW = 260, 640, 20


def bars(
    run: Mapping[str, Any],
    steps: Iterable[Mapping[str, Any]],
    now: float,
    waiting: Mapping[str, Any] | None = None,
) -> list[dict[str, Any]]:
    """The steps by when they began, with `state`, `seconds`, `offset` (seconds after the run's start), `depth` and `cost_usd`.

    `waiting` is the step that waits now, which has no end yet.
    """
    found = []
    for step in steps:
        began, ended = step.get("started_at"), step.get("ended_at")
        found.append(
            {
                "path": step["path"],
                "kind": step.get("kind", ""),
                "state": "failed" if failed(step["outcome"]) else "done",
                "started_at": began,
                "ended_at": ended,
                "attempts": step.get("attempts"),
                "cost_usd": cost_of(step["outcome"]),
            }
        )
    if waiting is not None:
        found.append({**waiting, "state": "waiting", "ended_at": None, "attempts": None, "cost_usd": None})
    begun = float(run["created_at"])
    for bar in found:
        start = bar["started_at"] if bar["started_at"] is not None else bar["ended_at"]
        end = bar["ended_at"] if bar["ended_at"] is not None else now
        bar["offset"] = round(max(0.0, (start if start is not None else begun) - begun), 3)
        bar["seconds"] = round(max(0.0, end - start), 3) if start is not None else 0.0
        bar["depth"] = bar["path"].count(".")
    return sorted(found, key=lambda bar: (bar["offset"], bar["path"]))


def picture(run: Mapping[str, Any], found: list[dict[str, Any]]) -> str:
    """The bars drawn, the first `MAX_BARS` of them."""
    shown = found[:MAX_BARS]
    whole = max([bar["offset"] + bar["seconds"] for bar in shown], default=0.0) or 1e-3
    parts = []
    for row, bar in enumerate(shown):
        y = MARGIN + 24 + row * _ROW
        x, width = _NAMES + bar["offset"] / whole * _ROOM, max(2.0, bar["seconds"] / whole * _ROOM)
        name = bar["path"] if len(bar["path"]) <= 38 else f"…{bar['path'][-37:]}"
        cost = f" · ${bar['cost_usd']:.4f}" if bar["cost_usd"] else ""
        told = f"{bar['path']} ({bar['kind']}): {lasting(bar['seconds'])}{cost}"
        parts.append(
            f"<g><title>{escape(told)}</title>"
            f'<text class="k" x="{MARGIN}" y="{y + 13}">{escape(name)}</text>'
            f'<rect class="{bar["state"]}" x="{x:.1f}" y="{y + 3}" width="{width:.1f}" height="13" rx="2"/>'
            f'<text class="w" x="{min(x + width + 4, _NAMES + _ROOM + 4):.1f}" y="{y + 13}">{escape(lasting(bar["seconds"]))}</text></g>'
        )
    more = len(found) - len(shown)
    also = f", {counted(more, 'more step')}" if more else ""
    title = f"{run['chain']} {run['id']}: {run['status']}{also}"
    return framed(title, _NAMES + _ROOM + 80, MARGIN * 2 + 24 + _ROW * max(1, len(shown)), parts)
