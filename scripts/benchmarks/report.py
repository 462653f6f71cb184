"""The table, the stored run, and the comparison of two runs."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).parent / "results"
TOLERANCE = 0.15
"""A ratio this much below the stored one is a regression."""


def facts(notes: list[str]) -> dict[str, Any]:
    """The machine, the versions, and what the run had to do without."""
    names = ("aiohttp", "uvloop", "httptools", "msgspec")
    cpu = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "commit": _commit(),
        "versions": {name: importlib.metadata.version(name) for name in names},
        "notes": notes,
    }


def _commit() -> str:
    if shutil.which("git") is None:
        return "unknown commit"
    command = ["git", "describe", "--always", "--dirty"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def show(run: Mapping[str, Any], earlier: Mapping[str, Any] | None) -> None:
    """Print the run, beside an earlier one where there is one."""
    console = Console()
    machine = run["facts"]
    console.print(
        f"{machine['cpu']}, {machine['cores']} cores, Python {machine['python']}, {machine['commit']}"
    )
    for note in machine["notes"]:
        console.print(f"note: {note}")
    table = Table("case", "figure")
    table.add_column("value", justify="right")
    if earlier is not None:
        table.add_column("before", justify="right")
        table.add_column("change", justify="right")
    for name, case in run["cases"].items():
        before = (earlier or {}).get("cases", {}).get(name, {})
        for kind in ("figures", "ratios"):
            for figure, value in case[kind].items():
                row = [name, figure if kind == "figures" else f"[bold]{figure}[/bold]", _number(value)]
                if earlier is not None:
                    old = before.get(kind, {}).get(figure)
                    row += ["", ""] if old is None else [_number(old), _change(value, old)]
                table.add_row(*row)
                name = ""
        table.add_section()
    console.print(table)


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.4g}"


def _change(value: float, old: float) -> str:
    return f"{(value / old - 1) * 100:+.0f} %" if old else ""


BOUNDS = {("record", "loop_off_to_on"): 0.97}
"""Ratios that must be no less, whatever an earlier run had."""


def unmet(run: Mapping[str, Any]) -> list[str]:
    """The bounds that a run did not keep."""
    return [
        f"{name}: {ratio} is {value:.3g}, and must be {least:g}"
        for (name, ratio), least in BOUNDS.items()
        if (value := run["cases"].get(name, {}).get("ratios", {}).get(ratio)) is not None and value < least
    ]


def regressions(run: Mapping[str, Any], stored: Mapping[str, Any]) -> list[str]:
    """The ratios that fell by more than the tolerance."""
    return [
        f"{name}: {ratio} fell from {old:.3g} to {value:.3g}"
        for name, case in run["cases"].items()
        for ratio, value in case["ratios"].items()
        if (old := stored["cases"].get(name, {}).get("ratios", {}).get(ratio))
        and value < old * (1 - TOLERANCE)
    ]


def save(run: Mapping[str, Any], path: Path) -> None:
    """Write the run as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(run, indent=2) + "\n")


def load(path: Path) -> dict[str, Any]:
    """Read a run."""
    run: dict[str, Any] = json.loads(path.read_text())
    return run
