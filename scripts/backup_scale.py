#!/usr/bin/env python
"""Back up a synthetic store of a given size in both forms, change a hundredth of it, and print what each backup took.

    scripts/backup_scale [GIB]    default 1; needs about four times as much free disk in TMPDIR

Half of what the records hold does not compress. Exit code 1 when a backup took 200 MB of memory or more, or the second
incremental one 5 % of the first one's bytes or more. Records changed here and there cost more, since the whole page of each is
new: that is printed too.
"""

from __future__ import annotations

import os
import random
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LIMIT_MB = 200
LIMIT_SHARE = 0.05
CHANGED = 0.01
_TEXT = b"the same words again " * 24


def record() -> bytes:
    """A kilobyte, half of it random."""
    return os.urandom(512) + _TEXT[:512]


def fill(data: Path, size: float) -> int:
    """A catalogue of half the size, and documents of the other half; the number of records."""
    (data / "rag").mkdir(parents=True)
    (data / "documents").mkdir()
    records = int(size / 2 / 2**10)
    with closing(sqlite3.connect(data / "rag/catalog.sqlite3")) as db, db:
        db.execute("create table collections (id text primary key)")
        db.execute("create table chunks (id integer primary key, text blob)")
        db.executemany("insert into chunks (text) values (?)", ((record(),) for _ in range(records)))
    for number in range(max(1, int(size / 2 / 2**26))):
        document(data, number, size)
    return records


def document(data: Path, number: int, size: float) -> None:
    """One document, new."""
    with (data / f"documents/{number}").open("wb") as file:
        for _ in range(min(64, int(size / 2 / 2**20))):
            file.write(os.urandom(2**19) + bytes(2**19))


def change(data: Path, records: Iterable[int]) -> None:
    """New content for these records."""
    with closing(sqlite3.connect(data / "rag/catalog.sqlite3")) as db, db:
        db.executemany("update chunks set text = ? where id = ?", ((record(), number) for number in records))


def back_up(home: Path, to: str, *options: str) -> tuple[int, float]:
    """Bytes that were added, and seconds."""
    words = [sys.executable, "-m", "intellirouter", "backup", "--to", str(home / to), *options]
    before, begun = _size(home / to), time.monotonic()
    subprocess.run(
        [*words, "--config", str(home / "node.toml")], check=True, cwd=ROOT, stdout=subprocess.DEVNULL
    )
    return _size(home / to) - before, time.monotonic() - begun


def _size(folder: Path) -> int:
    """Of all but the index, which is a cache."""
    files = (file for file in folder.rglob("*") if file.is_file() and file.name != "index.sqlite3")
    return sum(file.stat().st_size for file in files)


def main() -> int:
    """Fill, back up, change, back up again, tell."""
    size = float(sys.argv[1]) * 2**30 if len(sys.argv) > 1 else 2**30
    with tempfile.TemporaryDirectory(prefix="scale-") as folder:
        home = Path(folder)
        records = fill(home / "data", size)
        (home / "node.toml").write_text(f"[paths]\ndata_dir = '{home / 'data'}'\n")
        print(f"{_size(home / 'data') / 2**20:.0f} MiB held")
        _tell("archive", *back_up(home, "archives"))
        full = _tell("incremental, the first", *back_up(home, "snapshots", "--incremental"))
        count = int(records * CHANGED)
        change(home / "data", range(records // 3, records // 3 + count))
        for number in range(int(size / 2 / 2**26 * CHANGED)):
            document(home / "data", number, size)
        added = _tell("1 % changed, together", *back_up(home, "snapshots", "--incremental"), full)
        change(home / "data", random.Random(1).sample(range(1, records), count))
        _tell("1 % changed, here and there", *back_up(home, "snapshots", "--incremental"), full)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1000
    print(f"{peak:.0f} MB of memory at most")
    return int(peak >= LIMIT_MB or added >= LIMIT_SHARE * full)


def _tell(what: str, added: int, seconds: float, full: int = 0) -> int:
    share = f", {added / full:.2%} of the first" if full else ""
    print(f"{what}: {added / 2**20:.1f} MiB{share}, {seconds:.1f} s", flush=True)
    return added


if __name__ == "__main__":
    sys.exit(main())
