"""`scripts/bench personas`: how long ten thousand personas take to load, and each of them to resolve."""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

from intellirouter.roles.persona_layer.library import Library
from intellirouter.roles.persona_layer.resolver import resolve

VARIABLES = '[variables.who]\nrequired = true\n[variables.tone]\ndefault = "kind"\n'
PROMPTS = {
    "places only": "You are number {number}, {{{{ tone }}}}. Help {{{{ who }}}} with care.",
    "with a condition": 'You are number {number}. {{% if tone == "kind" %}}Be kind to{{% else %}}Answer{{% endif %}} {{{{ who }}}}.',
}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="scripts/bench personas", description=__doc__)
    parser.add_argument("--count", type=int, default=10_000, help="personas (default: 10,000)")
    count = parser.parse_args().count
    table = Table(title=f"{count:,} personas")
    for heading in (
        "prompts",
        "load, new (s)",
        "load, known (s)",
        "first resolve, p50 / p99 (µs)",
        "again (µs)",
        "MiB",
    ):
        table.add_column(heading, justify="left" if heading == "prompts" else "right")
    for name, prompt in PROMPTS.items():
        with tempfile.TemporaryDirectory(prefix="intellirouter-bench-") as directory:
            table.add_row(name, *_measured(Path(directory), prompt, count))
    Console().print(table)


def _measured(directory: Path, prompt: str, count: int) -> list[str]:
    for number in range(count):
        text = f"prompt = '{prompt.format(number=number)}'\ntags = [\"t{number % 7}\"]\n{VARIABLES}"
        (directory / f"p{number}.toml").write_text(text)
    before = psutil.Process().memory_info().rss
    new, _ = _loaded(directory)
    known, library = _loaded(directory)
    first, again = (_resolved(library) for _ in range(2))
    grown = (psutil.Process().memory_info().rss - before) / 2**20
    spread = statistics.quantiles(first, n=100)
    return [
        f"{new:.2f}",
        f"{known:.2f}",
        f"{spread[49]:.0f} / {spread[98]:.0f}",
        f"{statistics.median(again):.0f}",
        f"{grown:.0f}",
    ]


def _loaded(directory: Path) -> tuple[float, Library]:
    began = time.perf_counter()
    library = Library(directory)
    library.open()
    return time.perf_counter() - began, library


def _resolved(library: Library) -> list[float]:
    """Microseconds each persona took."""
    taken = []
    for entry in library.entries():
        if not entry.builtin:
            began = time.perf_counter()
            resolve(entry, {"who": "me"}, library.parts)
            taken.append((time.perf_counter() - began) * 1e6)
    return taken


if __name__ == "__main__":
    main()
