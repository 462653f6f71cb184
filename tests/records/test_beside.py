"""Other processes come to the record and leave it: what this one writes is there all the same."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from pathlib import Path

from intellirouter.records.row import Ids, Row
from intellirouter.records.sqlite.store import SqliteStore

LOOK = """
import contextlib, sqlite3, sys
with contextlib.closing(sqlite3.connect(sys.argv[1])) as db:
    print(db.execute("select count(*) from requests").fetchone()[0])
"""


def rows_for_another(file: Path) -> int:
    """What a process of its own sees, that closes the file again."""
    look = subprocess.run([sys.executable, "-c", LOOK, file], check=True, capture_output=True, text=True)
    return int(look.stdout)


def test_whoever_opens_and_closes_the_record_takes_nothing_of_it(tmp_path: Path) -> None:
    file, ids = tmp_path / "requests.db", Ids()

    def write(store: SqliteStore) -> None:
        store.write([Row(id=ids.next(now := time.time()), ended=now)])

    with contextlib.ExitStack() as open_:
        recorder = open_.enter_context(contextlib.closing(SqliteStore(file)))
        write(recorder)
        open_.enter_context(contextlib.closing(SqliteStore(file)))  # as who asks beside who writes
        for count in range(1, 4):
            assert rows_for_another(file) == count
            write(recorder)
        assert rows_for_another(file) == 4
