"""Kill the process, the embedded store's child or the Chroma server during ingestion, and count what was lost or doubled.

    python -m scripts.crash_rag [KILLS]

30 kills, in turn of each, at random moments, unless told. Exit code 1 when anything acknowledged was lost, a chunk is there
twice, or catalogue and vectors differ.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import sys
import tempfile
from pathlib import Path
from typing import get_args

from tests.roles.rag_manager.crash import Part, crash


def main(kills: int) -> int:
    bad = killed = rounds = 0
    for part in itertools.cycle(get_args(Part)):
        if killed >= kills or rounds >= 2 * kills:
            break
        rounds += 1
        seconds = random.uniform(0.0, 1.5)
        with tempfile.TemporaryDirectory(prefix="intellirouter-crash-") as folder:
            report = asyncio.run(crash(Path(folder), part, seconds))
        killed += report.killed
        bad += bool(report.problems)
        verdict = "; ".join(report.problems) or "nothing lost, nothing twice"
        print(
            f"{part:>8} at {seconds:.2f} s  killed={report.killed}  starts={report.starts}  "
            f"acknowledged={len(report.acknowledged)}  {verdict}",
            flush=True,
        )
    print(f"{rounds} runs, {killed} killed, {bad} with something lost or doubled")
    return 1 if bad or killed < kills else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 30))
