"""Every process lists the pages and tables of the engine; only one that runs chains pays for what runs them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import importlib, sys
importlib.import_module(sys.argv[1])
print(*sorted({"dbos", "chromadb", "onnxruntime"} & set(sys.modules)))
"""


@pytest.mark.parametrize("module", ["app.supervisor", "roles.chain_engine.role"])
def test_what_runs_chains_is_imported_by_who_runs_them(module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, f"intellirouter.{module}"],
        capture_output=True,
        text=True,
        timeout=120,
        env={"PYTHONPATH": str(Path(__file__).parents[3])},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []
