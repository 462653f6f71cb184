"""Three nodes on one Postgres: kill one, freeze another and let it come back, and judge every run."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import sqlalchemy as sa

CHILD = Path(__file__).with_name("cluster_child.py")
ROOT = Path(__file__).parents[2]
NODES = ("killed", "frozen", "well")

_ENDED = "SELECT count(*) FROM dbos.workflow_status WHERE status = 'SUCCESS'"
_RECORDED = "SELECT workflow_uuid, function_name FROM dbos.operation_outputs"
_RESULTS = "SELECT workflow_uuid, output FROM dbos.workflow_output"


@dataclass
class Campaign:
    """`takeover` in seconds from the kill to the first step of a dead node's run elsewhere.

    `recorded_twice`: steps with more than one recorded result; `repeated`: effects that ran again although their result
    had been recorded when the nodes were struck; `changed`: runs whose result changed after the frozen node came back.
    """

    finished: int
    results: set[str]
    steps_per_run: set[int]
    takeover: float
    recorded_twice: int
    repeated: int
    changed: int


def campaign(url: str, folder: Path, *, runs: int, beat: float, ttl: float, seconds: float) -> Campaign:
    """`runs` spread over the three nodes; everything has `seconds` to end."""
    journal = folder / "journal"
    journal.touch()
    engine = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    shares = dict(zip(NODES, (runs - 2 * (runs // 3), runs // 3, runs // 3), strict=True))
    with contextlib.ExitStack() as stack:
        stack.callback(engine.dispose)
        nodes: dict[str, subprocess.Popen[str]] = {}
        for name, share in shares.items():
            nodes[name] = stack.enter_context(_node(url, journal, name, share, beat, ttl))
        for name, node in nodes.items():
            _until(partial(_started, node, folder / f"{name}.log"), seconds)
        recorded = _rows(engine, _RECORDED)
        before = len(journal.read_text().splitlines())
        nodes["killed"].kill()
        nodes["frozen"].send_signal(signal.SIGSTOP)
        struck = time.monotonic()
        _until(
            lambda: any(
                line.startswith("well killed-") for line in journal.read_text().splitlines()[before:]
            ),
            seconds,
        )
        takeover = time.monotonic() - struck
        _until(lambda: _rows(engine, _ENDED)[0][0] == runs, seconds)
        results = dict(_rows(engine, _RESULTS))
        nodes["frozen"].send_signal(signal.SIGCONT)
        time.sleep(2 * ttl)  # what it had in hand, it now tries to record
        after = dict(_rows(engine, _RESULTS))
        every = Counter(_rows(engine, _RECORDED))
        lines = journal.read_text().splitlines()[before:]
        effects = {tuple(line.split(" ", 1)[1].split("/", 1)) for line in lines}
        return Campaign(
            finished=_rows(engine, _ENDED)[0][0],
            results={f"{name.rpartition('-')[2]}: {output}" for name, output in after.items()},
            steps_per_run=set(Counter(run for run, _ in every.elements()).values()),
            takeover=takeover,
            recorded_twice=sum(count > 1 for count in every.values()),
            repeated=len(effects & {tuple(row) for row in recorded}),
            changed=sum(after[name] != output for name, output in results.items()),
        )


@contextlib.contextmanager
def _node(
    url: str, journal: Path, name: str, runs: int, beat: float, ttl: float
) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, str(CHILD), url, str(journal), name, str(runs), str(beat), str(ttl)]
    with journal.with_name(f"{name}.log").open("w") as log:
        node = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
    try:
        yield node
    finally:
        node.send_signal(signal.SIGCONT)
        node.kill()
        node.communicate()


def _started(node: subprocess.Popen[str], log: Path) -> bool:
    assert node.poll() is None, f"a node ended before it had started: {log.read_text()[-2000:]}"
    return "started\n" in log.read_text()


def _rows(engine: sa.Engine, query: str) -> list[tuple]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(sa.text(query))]


def _until(done: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
