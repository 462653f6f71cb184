"""Print the table of clients, targets and features: how many cells there are, which we refuse ourselves, which are red.

    python -m scripts.pairs

Exits with 1 when a target would refuse what it is sent.
"""

from __future__ import annotations

import sys

from tests.conformance.pairs.test_pairs import table


def main() -> int:
    """Print, and say how it went."""
    shown, reds = table()
    print(shown)
    return 1 if reds else 0


if __name__ == "__main__":
    sys.exit(main())
