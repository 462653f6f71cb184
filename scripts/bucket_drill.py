#!/usr/bin/env python
"""Incremental backups into a bucket and over SFTP, killed on the way: a store is filled, backed up, changed, verified and restored elsewhere.

    scripts/bucket_drill [GIB] [--kills N] [--place s3|sftp]     default 10 GiB, 20 kills, both places one after the other

The S3 server and the sshd are real ones of this machine. The store is documents and a catalogue; three quarters of each document are
text that compresses, so that what is sent is about a quarter of it (said in the output). The first backup is killed (SIGKILL) while packs
arrive, at points spread over all of it, and begun again each time; so is the one after a hundredth has changed. Exit code 1 when the
second backup sent 5 % of the first one's bytes or more, when a half backup was seen, or when what was restored differs.
"""

from __future__ import annotations

import argparse
import contextlib
import getpass
import hashlib
import os
import random
import signal
import sqlite3
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from intellirouter.config.load import Loaded, load  # noqa: E402
from intellirouter.ops.backup import forms, looking, packs, place  # noqa: E402
from intellirouter.ops.backup.make import make  # noqa: E402
from intellirouter.ops.backup.restore import restore  # noqa: E402
from tests.servers.s3 import s3_server  # noqa: E402
from tests.servers.sshd import sshd  # noqa: E402

LIMIT_SHARE = 0.05
CHANGED = 0.01
BUCKET = "drill"
_BLOCK = 1 << 20


@dataclass(frozen=True)
class There:
    """An address, and how many packs and bytes of packs are there now. Counting touches no library of the backup's: it is done in a
    process that is forked."""

    address: str
    count: Callable[[], tuple[int, int]]


def fill(data: Path, size: int) -> None:
    """A tenth of it in a catalogue of SQLite, the rest in documents of 64 MiB."""
    (data / "documents").mkdir(parents=True)
    (data / "rag").mkdir()
    with closing(sqlite3.connect(data / "rag/catalog.sqlite3")) as db, db:
        db.execute("create table collections (id text primary key)")
        db.execute("create table chunks (id integer primary key, text blob)")
        rows = size // 10 // 4096
        db.executemany(
            "insert into chunks (text) values (?)", ((block(number, 4096),) for number in range(rows))
        )
    left, number = size - size // 10, 0
    while left > 0:
        document(data / f"documents/{number}", min(left, 64 << 20), number)
        left -= 64 << 20
        number += 1


def block(number: int, size: int) -> bytes:
    """A quarter of it random, the rest text of its own."""
    line = b"line %012d of what is said again and again\n" % number
    return random.Random(number).randbytes(size // 4) + (line * (size // len(line) + 1))[: size - size // 4]


def document(file: Path, size: int, seed: int) -> None:
    with file.open("wb") as stream:
        for at in range(0, size, _BLOCK):
            stream.write(block((seed << 20) + at // _BLOCK, min(_BLOCK, size - at)))


def change(data: Path, size: int) -> None:
    """A hundredth: rows beside one another, and pieces of documents."""
    rows = size // 10 // 4096
    count = max(1, int(rows * CHANGED))
    with closing(sqlite3.connect(data / "rag/catalog.sqlite3")) as db, db:
        db.executemany(
            "update chunks set text = ? where id = ?",
            ((block(1 << 40 | number, 4096), rows // 3 + number) for number in range(count)),
        )
    left = int((size - size // 10) * CHANGED)
    for file in sorted((data / "documents").iterdir()):
        part = min(left, file.stat().st_size // 8)
        with file.open("r+b") as stream:
            stream.write(os.urandom(part))
        left -= part
        if left <= 0:
            return


def digest(data: Path) -> str:
    """Of every file and its name; of the catalogue its rows."""
    found = hashlib.sha256()
    for file in sorted((data / "documents").iterdir()):
        found.update(file.name.encode())
        with file.open("rb") as stream:
            found.update(hashlib.file_digest(stream, "sha256").digest())
    with closing(sqlite3.connect(data / "rag/catalog.sqlite3")) as db:
        for number, text in db.execute("select id, text from chunks order by id"):
            found.update(b"%d" % number + hashlib.sha256(text).digest())
    return found.hexdigest()


@contextlib.contextmanager
def s3(_home: Path) -> Iterator[There]:
    with s3_server() as server:
        server.make(BUCKET)
        os.environ |= {
            "AWS_ACCESS_KEY_ID": "drill", "AWS_SECRET_ACCESS_KEY": "drill", "AWS_REGION": "us-east-1", "AWS_ENDPOINT_URL": server.url,
        }  # fmt: skip

        def count() -> tuple[int, int]:
            found = server.sizes(BUCKET)
            sent = {key: size for key, size in found.items() if key.endswith((".pack", ".irsnapshot"))}
            return len(sent), sum(sent.values())

        yield There(f"s3://{BUCKET}/node", count)


@contextlib.contextmanager
def sftp(home: Path) -> Iterator[There]:
    keys = home / "sshd"
    keys.mkdir()
    with sshd(keys) as server:
        (home / ".ssh").mkdir(mode=0o700)
        (home / ".ssh/known_hosts").write_text(server.known_hosts)
        os.environ["INTELLIROUTER_SSH_KEY"] = str(server.key)
        far = home / "far"

        def count() -> tuple[int, int]:
            sent = [*far.glob("packs/*.pack"), *far.glob("*.irsnapshot")]
            return len(sent), sum(file.stat().st_size for file in sent)

        yield There(f"sftp://{getpass.getuser()}@127.0.0.1:{server.port}{far}", count)


PLACES = {"s3": s3, "sftp": sftp}


def forked(work: Callable[[], object], until: Callable[[], bool] | None = None) -> bool:
    """Do it in a process of its own, which is killed when `until` holds; whether it came to its end. Raises `RuntimeError` when it failed."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        except BaseException:
            traceback.print_exc()
            raise
        finally:
            sys.stdout.flush()
            os._exit(code)
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            if status:
                raise RuntimeError(f"the backup failed ({status})")
            return True
        asked = time.monotonic()
        if until is not None and until():
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return False
        # a store that is asked all the time has no time for what is sent
        time.sleep(max(0.005, 4 * (time.monotonic() - asked)))


def back_up(loaded: Loaded, there: There, stops: list[int]) -> tuple[int, int]:
    """Back up, killed when so many more packs are there; the kills and the bytes that were added."""
    before, bytes_before = there.count()
    kills = 0
    for number, stop in enumerate(stops):
        # some at the very moment a pack is there, some in the middle of the next one
        later = (number % 3) * 0.02
        seen: list[float] = []

        def reached(stop: int = stop, later: float = later, seen: list[float] = seen) -> bool:
            if not seen and there.count()[0] - before >= stop:
                seen.append(time.monotonic())
            return bool(seen) and time.monotonic() - seen[0] >= later

        if forked(lambda: one(loaded, there), reached):
            break
        kills += 1
        forked(lambda: nothing_half(there))
    else:
        forked(lambda: one(loaded, there))
    return kills, there.count()[1] - bytes_before


def one(loaded: Loaded, there: There) -> None:
    make(loaded, place.directory(there.address), lambda _: None, incremental=True)


def nothing_half(there: There) -> None:
    """Every backup that is seen is whole."""
    for file in forms.backups(place.directory(there.address)):
        looking.manifest_of(file)


def verified(there: There, elsewhere: Path, config: Path) -> None:
    """Every byte is read, and the last one restored into another node."""
    where = place.directory(there.address)
    problems = looking.check(where, "100%").problems
    if problems:
        raise RuntimeError(f"the check found {problems[:3]}")
    last = max(forms.backups(where), key=lambda file: file.name)
    assert forms.verify(last) is not None
    elsewhere.mkdir()
    restore(last, load(config, {}).settings)


def drill(name: str, size: int, kills: int) -> bool:
    """One place; whether all held."""
    with tempfile.TemporaryDirectory(prefix="drill-") as folder, contextlib.ExitStack() as stack:
        home = Path(folder)
        os.environ["HOME"] = folder
        os.environ.pop("XDG_CACHE_HOME", None)
        there = stack.enter_context(PLACES[name](home))
        data = home / "data"
        begun = time.monotonic()
        fill(data, size)
        config = home / "node.toml"
        config.write_text(f"[paths]\ndata_dir = '{data}'\n")
        loaded = load(config, {})
        _say(name, f"{size / 2**20:,.0f} MiB held, of which about a quarter is left when compressed", begun)

        packs_expected = max(2, size // 4 // packs.PACK_BYTES)
        first, second = kills - kills // 4, kills // 4
        stops = [round(packs_expected * number / (first + 1)) for number in range(1, first + 1)]
        begun = time.monotonic()
        done, full = back_up(loaded, there, stops)
        _say(
            name,
            f"first backup: {full / 2**20:,.1f} MiB in {there.count()[0]} objects, killed {done} times",
            begun,
        )

        change(data, size)
        begun = time.monotonic()
        later = [number % 2 for number in range(second)]
        more, added = back_up(loaded, there, later)
        share = added / full
        _say(
            name,
            f"1 % changed: {added / 2**20:,.1f} MiB, {share:.2%} of the first, killed {more} times",
            begun,
        )

        begun = time.monotonic()
        other = home / "other.toml"
        other.write_text(f"[paths]\ndata_dir = '{home / 'elsewhere'}'\n")
        forked(lambda: verified(there, home / "elsewhere", other))
        same = digest(home / "elsewhere") == digest(data)
        _say(name, f"every byte read, restored elsewhere: {'the same' if same else 'DIFFERENT'}", begun)
        return same and share < LIMIT_SHARE and done + more > 0


def _say(name: str, words: str, begun: float) -> None:
    print(f"{name}: {words} ({time.monotonic() - begun:.1f} s)", flush=True)


def main() -> int:
    """Every place that is asked for."""
    read = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    read.add_argument("gib", nargs="?", type=float, default=10.0)
    read.add_argument("--kills", type=int, default=20)
    read.add_argument("--place", choices=PLACES)
    read.add_argument(
        "--pack-bytes", type=int, default=packs.PACK_BYTES, help="smaller packs, for a small store"
    )
    given = read.parse_args()
    packs.PACK_BYTES = given.pack_bytes
    wanted = [given.place] if given.place else list(PLACES)
    held = [drill(name, int(given.gib * 2**30), given.kills) for name in wanted]
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
