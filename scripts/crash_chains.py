"""Kill durable chains at every step boundary and at random moments, and count what was repeated.

    python -m scripts.crash_chains [RANDOM_KILLS] [postgres]

On SQLite in a temporary folder unless told, or on a Postgres of its own, where another node takes over; 20 random kills.
Exit code 1 when a recorded step ran again or a result differs.
"""

from __future__ import annotations

import contextlib
import random
import sys
import tempfile
from pathlib import Path

from tests.chains.crash import crash
from tests.chains.crash_child import EFFECTS
from tests.servers.postgres import postgres


def main(kills: int, *, shared: bool) -> int:
    points: list[tuple[int, float]] = [(number, 0.0) for number in range(1, EFFECTS + 1)]
    points += [(0, random.uniform(0.0, 0.08)) for _ in range(kills)]
    outputs, bad, killed = set(), 0, 0
    for kill_at, seconds in points:
        with contextlib.ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            url = stack.enter_context(postgres()) if shared else f"sqlite:///{folder}/runs.db"
            found = crash(url, Path(folder), kill_at=kill_at, seconds=seconds)
        outputs.add(str(found.output))
        bad += bool(found.recorded & found.repeats)
        killed += found.killed
        when = f"effect {kill_at}" if kill_at else f"{seconds:.3f} s"
        print(
            f"{when:>10}  killed={found.killed}  recorded={len(found.recorded):2}  repeated={sorted(found.repeats)}"
        )
    print(
        f"{len(points)} runs, {killed} killed, {len(outputs)} different results, {bad} with a recorded step repeated"
    )
    return 1 if bad or len(outputs) != 1 else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 20, shared="postgres" in sys.argv))
