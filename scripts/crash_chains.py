"""Kill durable chains at every step boundary and at random moments, and count what was repeated.

    python -m scripts.crash_chains [RANDOM_KILLS] [postgres] [SCENARIO …]
    python -m scripts.crash_chains nodes [KILLS] [postgres]

A chain of every kind of step, the chain of the design and every shipped example, on SQLite in a temporary folder unless told,
or on a Postgres of its own, where another node takes over; 20 random kills of each. Exit code 1 when a recorded step ran
again or a result differs.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from rich.progress import track

from tests.chains.crash import Crash, crash
from tests.chains.killing.campaign import campaign
from tests.chains.scenarios import SCENARIOS
from tests.servers.postgres import postgres

EFFECT_SECONDS = 0.008
"""What an effect of the child takes on average."""
SECONDS_A_KILL = 15.0


def main(kills: int, names: list[str], *, shared: bool) -> int:
    """The exit code."""
    bad = 0
    for name in names:
        whole = _once(name, shared=shared)
        boundaries = [(number, 0.0) for number in range(1, whole.effects + 1)]
        inside = [(0, random.uniform(0.0, whole.effects * EFFECT_SECONDS)) for _ in range(kills)]
        found = [
            _once(name, shared=shared, kill_at=number, seconds=seconds)
            for number, seconds in track(boundaries + inside, description=name, transient=True)
        ]
        repeated = sum(bool(crashed.recorded & crashed.repeats) for crashed in found)
        other = sum(crashed.output != whole.output for crashed in found)
        print(
            f"{name:>20}: {len(boundaries)} boundaries and {kills} random moments, "
            f"{sum(crashed.killed for crashed in found)} killed, {other} other results, "
            f"{repeated} with a recorded step repeated"
        )
        bad += repeated + other
    return 1 if bad else 0


def nodes(kills: int, *, shared: bool) -> int:
    """The exit code."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        url = stack.enter_context(postgres()) if shared else ""
        count = 3 if shared else 1
        seconds = SECONDS_A_KILL * (kills + 30)
        found = asyncio.run(
            campaign(Path(folder), url, runs=kills, kills=kills, nodes=count, seconds=seconds)
        )
    print(
        f"{count} nodes: {found.kills} killed, {found.freezes} frozen; {found.runs} runs ended, {found.deliveries} deliveries "
        f"to hooks, listeners broke off {found.breaks} times; {found.repeated} effects ran again unrecorded, {found.late} of "
        f"them after another node had recorded them; {len(found.wrong)} wrong"
    )
    for wrong in found.wrong:
        print(f"  {wrong}")
    return 1 if found.wrong else 0


def _once(name: str, *, shared: bool, kill_at: int = 0, seconds: float = 0.0) -> Crash:
    with _database(shared=shared) as (url, folder):
        return crash(url, folder, name, kill_at=kill_at, seconds=seconds)


@contextlib.contextmanager
def _database(*, shared: bool) -> Iterator[tuple[str, Path]]:
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        yield stack.enter_context(postgres()) if shared else f"sqlite:///{folder}/runs.db", folder


if __name__ == "__main__":
    given = sys.argv[1:]
    numbers = [int(argument) for argument in given if argument.isdecimal()]
    named = [argument for argument in given if argument in SCENARIOS]
    if wrong := set(given) - set(map(str, numbers)) - set(named) - {"postgres", "nodes"}:
        sys.exit(f"no such scenario: {', '.join(sorted(wrong))}; there are {', '.join(SCENARIOS)}")
    if "nodes" in given:
        sys.exit(nodes(numbers[0] if numbers else 30, shared="postgres" in given))
    sys.exit(main(numbers[0] if numbers else 20, named or list(SCENARIOS), shared="postgres" in given))
