#!/usr/bin/env python
"""Back up a synthetic store of a given size and print what it took.

    scripts/backup_scale [GIB]    default 1; needs about four times as much free disk in TMPDIR

Half of what the records hold does not compress. Exit code 1 when the backup took 200 MB of memory or more.
"""

from __future__ import annotations

import os
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LIMIT_MB = 200


def fill(data: Path, size: float) -> None:
    """A catalogue of half the size, and documents of the other half."""
    (data / "rag").mkdir(parents=True)
    (data / "documents").mkdir()
    text = b"the same words again " * 24
    with sqlite3.connect(data / "rag/catalog.sqlite3") as db:
        db.execute("create table collections (id text primary key)")
        db.execute("create table chunks (id integer primary key, text blob)")
        for _ in range(int(size / 2 / 2**20)):
            db.executemany(
                "insert into chunks (text) values (?)", ((os.urandom(512) + text[:512],) for _ in range(1024))
            )
    db.close()
    for number in range(max(1, int(size / 2 / 2**26))):
        with (data / f"documents/{number}").open("wb") as file:
            for _ in range(min(64, int(size / 2 / 2**20))):
                file.write(os.urandom(2**19) + bytes(2**19))


def main() -> int:
    """Fill, back up, tell."""
    size = float(sys.argv[1]) * 2**30 if len(sys.argv) > 1 else 2**30
    with tempfile.TemporaryDirectory(prefix="scale-") as folder:
        home = Path(folder)
        fill(home / "data", size)
        (home / "node.toml").write_text(f"[paths]\ndata_dir = '{home / 'data'}'\n")
        words = [
            sys.executable,
            "-m",
            "intellirouter",
            "backup",
            "--to",
            str(home / "to"),
            "--config",
            str(home / "node.toml"),
        ]
        begun = time.monotonic()
        subprocess.run(words, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
        seconds = time.monotonic() - begun
        held = sum(file.stat().st_size for file in (home / "data").rglob("*") if file.is_file())
        archive = sum(file.stat().st_size for file in (home / "to").iterdir())
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1000
    print(
        f"{held / 2**20:.0f} MiB held, {archive / 2**20:.0f} MiB archive, {seconds:.1f} s, {peak:.0f} MB at most"
    )
    return int(peak >= LIMIT_MB)


if __name__ == "__main__":
    sys.exit(main())
