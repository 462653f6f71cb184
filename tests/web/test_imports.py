"""What every role has of the web is light: a role that speaks no dialect does not import how one is spoken."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import sys
import intellirouter.web.application
print(*sorted(name for name in sys.modules if name.startswith("intellirouter.chat.") and name.endswith((".format", ".request"))))
"""


def test_every_role_knows_the_errors_of_a_dialect_and_no_more_of_it() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        capture_output=True,
        text=True,
        timeout=120,
        env={"PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []
