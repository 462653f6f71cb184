"""Three nodes on one Postgres run chains; one is killed, one is frozen and comes back. Print what became of the runs.

    python -m scripts.cluster_chains [RUNS]

200 runs unless told, with the heartbeat of an installed node. Exit code 1 when a run was lost or changed, a recorded step ran
again, or the dead node's runs waited for ten seconds.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.chains.cluster_campaign import campaign
from tests.chains.cluster_child import STEPS
from tests.servers.postgres import postgres

TAKEOVER_SECONDS = 10


def main(runs: int) -> int:
    """The exit code."""
    with postgres() as url, tempfile.TemporaryDirectory() as folder:
        found = campaign(url, Path(folder), runs=runs, beat=1.0, ttl=4.0, seconds=300)
    print(
        f"{found.finished} of {runs} runs finished; takeover after {found.takeover:.1f} s; steps per run "
        f"{sorted(found.steps_per_run)}; recorded twice {found.recorded_twice}; repeated {found.repeated}; "
        f"changed {found.changed}"
    )
    whole = found.finished == runs and found.steps_per_run == {STEPS}
    clean = not (found.recorded_twice or found.repeated or found.changed)
    return 0 if whole and clean and found.takeover < TAKEOVER_SECONDS else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 200))
