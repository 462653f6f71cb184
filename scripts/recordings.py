"""Hold every adapter against the recorded vendor traffic and print the table.

    python -m scripts.recordings [--cuts N] [--folder PATH] [word …]

`--cuts` is the number of places at which each stream is also cut (default: every byte); words choose rows by provider,
endpoint or adapter. Exits with 1 when a row is understood otherwise than the vendor sent it.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.providers.recorded.check import check
from tests.providers.recorded.rows import FOLDER, Row, rows
from tests.providers.recorded.table import shown, tallied

EVERYWHERE = 1 << 40


def main() -> int:
    """Check, print, and say how it went."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cuts", type=int, default=EVERYWHERE)
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("words", nargs="*")
    asked = parser.parse_args()
    if not asked.folder.exists():
        print(f"There are no recordings at {asked.folder}.", file=sys.stderr)
        return 2
    chosen = [row for row in rows(asked.folder) if _chosen(row, asked.words)]
    held: Counter[tuple[str, str, str]] = Counter()
    wrong = 0
    for number, row in enumerate(chosen, 1):
        if row.claim is None:
            continue
        print(f"\r{number} of {len(chosen)} …", end="", file=sys.stderr, flush=True)
        try:
            check(row, asked.cuts)
        except (Exception, pytest.fail.Exception) as error:  # noqa: BLE001  one wrong row must not hide the others
            wrong += 1
            print(f"\r{row.id} of {row.source}: {error!r}", file=sys.stderr)
        else:
            held[row.provider, row.endpoint, row.claim.kind] += 1
    print("\r", end="", file=sys.stderr)
    print(shown(tallied(chosen), held))
    return 1 if wrong else 0


def _chosen(row: Row, words: list[str]) -> bool:
    name = f"{row.id} {row.provider} {row.path} {row.claim.kind if row.claim else ''}"
    return all(word in name for word in words)


if __name__ == "__main__":
    sys.exit(main())
