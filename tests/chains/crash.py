"""Kill a durable run, let another process finish it, and judge what was repeated."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

RUN = "crash"
CHILD = Path(__file__).with_name("crash_child.py")
ROOT = Path(__file__).parents[2]


@dataclass
class Crash:
    """`recorded`: the steps that had a result when the process died. `repeats`: effects that ran more than once.

    `effects`: different effects, over both processes.
    """

    killed: bool
    recorded: set[str]
    repeats: set[str]
    output: Any
    effects: int


def crash(
    url: str,
    folder: Path,
    scenario: str = "kinds",
    *,
    kill_at: int = 0,
    seconds: float = 0.0,
    second_tree: Path = ROOT,
) -> Crash:
    """`second_tree`: the source tree whose code finishes the run."""
    journal = folder / "journal"
    journal.touch()
    first = _child(url, journal, scenario, kill_at, seconds, ROOT)
    recorded = _recorded(url)
    second = _child(url, journal, scenario, 0, 0.0, second_tree)
    assert second.returncode == 0, second.stderr
    assert f"{RUN}/ending" in journal.read_text(), "the end of the run was told to nobody"
    counts = Counter(line.partition("/")[2] for line in journal.read_text().splitlines())
    repeats = {path for path, count in counts.items() if count > 1}
    output = ast.literal_eval(second.stdout.splitlines()[-1])
    return Crash(first.returncode == -9, recorded, repeats, output, len(counts))


def _child(
    url: str, journal: Path, scenario: str, kill_at: int, seconds: float, tree: Path
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(CHILD), url, str(journal), scenario, str(kill_at), str(seconds)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONPATH": f"{tree}{os.pathsep}{ROOT}"},
    )


def _recorded(url: str) -> set[str]:
    engine = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    try:
        schema = "" if url.startswith("sqlite") else "dbos."
        with engine.connect() as connection:
            rows = connection.execute(sa.text(f"SELECT function_name FROM {schema}operation_outputs"))
            return {row[0] for row in rows}
    except sa.exc.DBAPIError:  # killed before the tables were made
        return set()
    finally:
        engine.dispose()
