"""Runs and their steps in words, for the commands that show them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
import typer

from intellirouter.chains.drawing.marks import lasting
from intellirouter.cli.plain import none_of, print_fitting, room

GOING = ("running", "waiting", "queued")
_COLUMNS = ("run", "chain", "status", "started", "took")
_COLOURS = {"failed": "red", "cancelled": "yellow", "running": "blue", "waiting": "blue", "queued": "blue"}
_SHORTEST = 8
"""Characters of a chain's name that stay."""
_HOW = {
    "succeeded": "succeeded",
    "failed": "failed",
    "cancelled": "was cancelled",
    "waiting": "waits",
    "queued": "waits in line",
    "running": "is running",
}


def standing(run: Mapping[str, Any]) -> str:
    """How a run stands, in a sentence; of one that failed also why."""
    status, error = run["status"], run.get("error")
    told = f"{run['id']} {_HOW.get(status, f'is {status}')}"
    if status == "waiting":
        return f"{told} {'for ' + repr(run['waiting_for']) if run['waiting_for'] else 'until its time has come'}."
    if error and not (status == "cancelled" and error["code"] == "cancelled"):
        return f"{told}: {error['message']}"
    return f"{told}."


def ended_badly(run: Mapping[str, Any]) -> bool:
    """Whether a command that shows the run ends with exit code 1."""
    return run["status"] not in (*GOING, "succeeded")


def step_line(step: Mapping[str, Any], *, heard: bool = False) -> str:
    """One recorded step: what came of it is cut at the terminal's width, why it failed is not. `heard`: its words were printed."""
    began, ended = step.get("started_at"), step.get("ended_at")
    took = f" {lasting(max(0.0, ended - began))}" if began is not None and ended is not None else ""
    cached = " cached" if step.get("cached") else ""
    told = f"{step['number']:4} {step['path']}  {step.get('kind') or ''}{took}{cached}".rstrip()
    outcome = step["outcome"]
    if isinstance(outcome, Mapping) and "error" in outcome:
        return f"{told}  failed: {_flat(str(outcome['error'].get('message', '')))}"
    if heard:
        return told
    came = (
        outcome["ok"] if isinstance(outcome, Mapping) and "ok" in outcome else outcome
    )  # a signal is as it came
    if isinstance(came, Mapping) and isinstance(came.get("text"), str):
        came = came["text"]
    text = _flat(came if isinstance(came, str) else msgspec.json.encode(came).decode())
    left = room() - len(told) - 2
    return f"{told}  {text if len(text) <= left else text[: max(0, left - 1)] + '…'}"


def print_runs(runs: Sequence[Mapping[str, Any]]) -> None:
    """Print the runs as a table, a line each: ids stay whole, names of chains are cut."""
    if none_of(runs, "No run."):
        return
    rows = [
        (
            run["id"],
            run["chain"],
            run["status"],
            when_shortly(run["created_at"]),
            lasting(max(0.0, run["ended_at"] - run["created_at"])) if run["ended_at"] else "",
        )
        for run in runs
    ]
    colours = [_COLOURS.get(run["status"], "") for run in runs]
    print_fitting(
        _COLUMNS, rows, "chain", least=_SHORTEST, leaves=("took", "started"), left=_COLUMNS, styles=colours
    )


def output(value: object) -> None:
    """Print what came of a run."""
    typer.echo(value if isinstance(value, str) else msgspec.json.format(msgspec.json.encode(value)))


def when(seconds: float) -> str:
    """A moment by this machine's clock."""
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def when_shortly(seconds: float) -> str:
    """The same where there is little room: the time of today, the day of what is older."""
    then, now = datetime.fromtimestamp(seconds).astimezone(), datetime.now().astimezone()
    if then.date() == now.date():
        return then.strftime("%H:%M:%S")
    return then.strftime("%m-%d %H:%M" if then.year == now.year else "%Y-%m-%d")


def _flat(text: str) -> str:
    """On one line, without what would steer a terminal."""
    return "".join(letter for letter in " ".join(text.split()) if letter.isprintable())
