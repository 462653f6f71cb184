"""Incremental backups: what did not change is not written again; what is there is whole, or is refused."""

from __future__ import annotations

import io
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import IO

import pyrage
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intellirouter.cli.main import main
from intellirouter.config.load import Loaded, load
from intellirouter.errors import InvalidRequest
from intellirouter.ops.backup import age, forms, packs, pieces, place, recall, repository
from intellirouter.ops.backup.archive import BackupDamaged, Manifest
from intellirouter.ops.backup.make import make
from intellirouter.ops.backup.restore import restore

CHUNKS = 4_000


def node(directory: Path) -> Loaded:
    """A node with a catalogue of some megabytes, documents and personas."""
    data = directory / "data"
    for name, text in {
        "personas/a.yaml": "name: a",
        "documents/deep/b.txt": "b" * 3000,
        "documents/none": "",
    }.items():
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        (data / name).write_text(text)
    draw = random.Random(5)
    (data / "rag").mkdir()
    with closing(sqlite3.connect(data / "rag/catalog.sqlite3")) as db, db:
        db.execute("create table collections (id text primary key)")
        db.execute("create table chunks (id integer primary key, text blob)")
        db.executemany(
            "insert into chunks (text) values (?)", ((draw.randbytes(1_000),) for _ in range(CHUNKS))
        )
    file = directory / "node.toml"
    file.write_text(f"[paths]\ndata_dir = '{data}'\n")
    return load(file, {})


def change(loaded: Loaded, share: float) -> None:
    """Replace so much of the catalogue, as a document does that is ingested anew."""
    count = int(CHUNKS * share)
    file = loaded.settings.paths.data_dir / "rag/catalog.sqlite3"
    with closing(sqlite3.connect(file)) as db, db:
        first = random.Random(6).randrange(CHUNKS - count)
        db.execute("delete from chunks where id between ? and ?", (first, first + count - 1))
        db.executemany("insert into chunks (text) values (?)", ((os.urandom(1_000),) for _ in range(count)))


def contents(file: Path, identities: list[object] | None = None) -> dict[str, bytes]:
    held: dict[str, bytes] = {}

    def sink(name: str, stream: IO[bytes]) -> None:
        held[name] = stream.read()

    forms.read(file, sink, identities or ())
    return held


def size(directory: Path) -> int:
    shown = (*directory.glob("*.irsnapshot"), *directory.glob("packs/*"))
    return sum(file.stat().st_size for file in shown)


def incremental(loaded: Loaded, to: Path, recipients: list[object] | None = None) -> Path:
    return make(loaded, to, lambda _: None, recipients or (), incremental=True)[0]


def test_a_second_backup_writes_what_changed(tmp_path: Path) -> None:
    loaded, to = node(tmp_path), tmp_path / "to"
    first = incremental(loaded, to)
    full = size(to)
    same = incremental(loaded, to)
    assert size(to) - full < 0.02 * full  # the snapshot itself
    change(loaded, 0.01)
    before = size(to)
    changed = incremental(loaded, to)
    assert size(to) - before < 0.05 * full
    assert contents(first) == contents(same)
    found = contents(changed)
    assert found.keys() == contents(first).keys()
    assert found["rag/catalog.sqlite3"] != contents(first)["rag/catalog.sqlite3"]
    assert (found["documents/deep/b.txt"], found["documents/none"]) == (b"b" * 3000, b"")
    assert all(forms.verify(file) for file in (first, same, changed))

    catalog = loaded.settings.paths.data_dir / "rag/catalog.sqlite3"
    change(loaded, 0.5)
    restore(changed, loaded.settings)
    assert catalog.read_bytes() == found["rag/catalog.sqlite3"]


def test_a_lost_or_damaged_index_is_made_anew(tmp_path: Path) -> None:
    loaded, to = node(tmp_path), tmp_path / "to"
    first = incremental(loaded, to)
    held, full = contents(first), size(to)
    index = to / "index.sqlite3"
    for spoil in (index.unlink, lambda: index.write_bytes(b"no database at all" * 100)):
        spoil()
        assert contents(first) == held
    incremental(loaded, to)
    assert size(to) < 1.02 * full


def test_any_changed_byte_is_found(tmp_path: Path) -> None:
    loaded, to = node(tmp_path), tmp_path / "to"
    snapshot = incremental(loaded, to)
    draw = random.Random(4)
    for file in (snapshot, *sorted(to.glob("packs/*"))):
        whole = file.read_bytes()
        edges = (*range(60), *range(len(whole) - 120, len(whole)))
        for position in (*edges, *(draw.randrange(len(whole)) for _ in range(20))):
            changed = bytearray(whole)
            changed[position] ^= 1 << position % 8
            file.write_bytes(changed)
            (to / "index.sqlite3").unlink(missing_ok=True)
            with pytest.raises(BackupDamaged):
                forms.verify(snapshot)
        for length in (0, 1, 40, len(whole) // 2, len(whole) - 1):
            file.write_bytes(whole[:length])
            (to / "index.sqlite3").unlink(missing_ok=True)
            with pytest.raises(BackupDamaged):
                forms.verify(snapshot)
        file.write_bytes(whole)
    (to / "index.sqlite3").unlink(missing_ok=True)
    assert forms.verify(snapshot)
    next(to.glob("packs/*")).unlink()
    with pytest.raises(BackupDamaged, match="missing"):
        forms.verify(snapshot)


def test_encrypted_ones_share_pieces_and_open_with_the_key_alone(tmp_path: Path) -> None:
    loaded, to = node(tmp_path), tmp_path / "to"
    key = pyrage.x25519.Identity.generate()
    (tmp_path / "public").write_text(f"{key.to_public()}\n")
    (tmp_path / "secret").write_text(f"{key}\n")
    public, secret = age.recipients(tmp_path / "public"), age.identities(tmp_path / "secret")
    first = incremental(loaded, to, public)
    full = size(to)
    change(loaded, 0.01)
    second = incremental(loaded, to, public)
    assert size(to) - full < 0.06 * full
    assert forms.verify(second) is None  # whole, as far as can be seen without the key
    assert forms.verify(second, secret) is not None
    assert contents(first, secret)["personas/a.yaml"] == b"name: a"
    with pytest.raises(InvalidRequest, match="--identity"):
        contents(first)
    (tmp_path / "other").write_text(f"{pyrage.x25519.Identity.generate()}\n")
    with pytest.raises(InvalidRequest, match="no key"):
        contents(first, age.identities(tmp_path / "other"))
    held = b"".join(file.read_bytes() for file in to.glob("**/*") if file.is_file())
    assert b"name: a" not in held
    assert b"personas/a.yaml" not in held
    first.unlink()
    repository.prune(to)  # needs no key
    assert contents(second, secret)["personas/a.yaml"] == b"name: a"


def test_what_is_read_in_order_is_asked_for_in_few_questions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded, to = node(tmp_path), tmp_path / "to"
    (loaded.settings.paths.data_dir / "documents/large").write_bytes(os.urandom(8 << 20))
    snapshot = incremental(loaded, to)
    held = contents(snapshot)
    (pack,) = to.glob("packs/*.pack")
    asked: list[int] = []

    def counted(file: place.File, at: int, length: int) -> bytes:
        asked.append(length)
        return place.read_at(file, at, length)

    monkeypatch.setattr(packs, "place", SimpleNamespace(read_at=counted, size=place.size))
    monkeypatch.setattr(recall, "_KEPT_FRAMES", 1)
    assert contents(snapshot) == held
    frames = packs.frames(pack)
    assert len(frames) > 12
    assert len(asked) < len(frames) / 2
    assert max(asked) <= recall._AHEAD_BYTES


@pytest.mark.parametrize(
    ("at", "length"), [(2**63, 1), (-1, 1), (0, -1), (0, 0), (0, packs.MOST_FRAME_BYTES + 1)]
)
def test_a_pack_that_says_what_cannot_be_is_damaged(tmp_path: Path, at: int, length: int) -> None:
    (tmp_path / "packs").mkdir()
    writer = packs.PackWriter(tmp_path / "packs")
    writer._frames.append(packs.Frame(at, length, ()))
    name, _ = writer.finish()
    with pytest.raises(BackupDamaged, match="cannot be read as a pack"):
        packs.frames(tmp_path / f"packs/{name}{packs.SUFFIX}")


def test_prune_drops_what_no_snapshot_needs(tmp_path: Path) -> None:
    loaded, to = node(tmp_path), tmp_path / "to"
    first = incremental(loaded, to)
    change(loaded, 0.9)
    second = incremental(loaded, to)
    held = contents(second)
    assert repository.prune(to)[0] == repository.prune(to)[1]
    first.unlink()
    before, after = repository.prune(to)
    assert after < 0.6 * before
    assert contents(second) == held
    assert forms.verify(second)
    assert not list(to.glob("packs/*.partial"))
    second.unlink()
    assert repository.prune(to)[1] == 0


def test_a_piece_that_a_killed_prune_left_twice_goes_with_the_next(tmp_path: Path) -> None:
    loaded, to = node(tmp_path), tmp_path / "to"
    snapshot = incremental(loaded, to)
    held = contents(snapshot)
    (pack,) = to.glob("packs/*.pack")
    writer = packs.PackWriter(to / "packs")
    for frame in packs.frames(pack)[1:]:
        writer.copy(frame, packs.packed_frame(pack, frame))
    writer.finish()
    (to / "index.sqlite3").unlink()
    before, after = repository.prune(to)
    assert after < 0.6 * before
    assert contents(snapshot) == held


def test_the_commands_know_both_forms(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    node(tmp_path)
    to, config = str(tmp_path / "to"), str(tmp_path / "node.toml")

    def said(*words: str) -> str:
        try:
            main(words)
        except SystemExit as stop:
            assert not stop.code, capsys.readouterr().err
        return capsys.readouterr().out

    for more in ((), ("--incremental",), ("--incremental",)):
        said("backup", "--to", to, "--config", config, *more)
    listed = said("backup", "list", to)
    assert (listed.count(".irsnapshot"), listed.count(".irbackup")) == (2, 1)
    snapshots = sorted((tmp_path / "to").glob("*.irsnapshot"))
    assert "whole" in said("backup", "verify", str(snapshots[0]))
    pruned = said("backup", "prune", to, "--keep-days", "0")
    assert pruned.count("deleted") == 2
    assert "packs:" in pruned
    assert list(forms.backups(tmp_path / "to")) == snapshots[1:]
    assert "restored" in said("restore", str(snapshots[1]), "--config", config)


@pytest.mark.parametrize("seed", range(6))
def test_killed_at_any_moment_it_leaves_whole_backups_only(tmp_path: Path, seed: int) -> None:
    loaded, to = node(tmp_path), tmp_path / "to"
    first = incremental(loaded, to)
    held = contents(first)
    change(loaded, 0.5)
    words = [sys.executable, "-m", "intellirouter", "backup", "--incremental", "--to", str(to)]
    process = subprocess.Popen([*words, "--config", str(tmp_path / "node.toml")], stdout=subprocess.DEVNULL)
    until = time.monotonic() + random.Random(seed).uniform(0.3, 1.5)
    while process.poll() is None and time.monotonic() < until:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert contents(first) == held
    for file in forms.backups(to):
        assert forms.verify(file)
    last = incremental(loaded, to)
    assert forms.verify(last)
    assert not list(to.glob(".snapshot-*"))
    assert not list(to.glob("packs/*.partial"))


class _Slow(io.RawIOBase):
    """Hands out as little as it likes."""

    def __init__(self, data: bytes, sizes: Iterator[int]) -> None:
        self._stream, self._sizes = io.BytesIO(data), sizes

    def read(self, size: int = -1) -> bytes:
        return self._stream.read(min(size, next(self._sizes)))


@settings(max_examples=30, deadline=None)
@given(
    length=st.integers(0, 400_000), seed=st.integers(0, 9), window=st.sampled_from([70_000, 100_000, 1 << 20])
)
def test_pieces_are_the_stream_whatever_the_window(length: int, seed: int, window: int) -> None:
    draw = random.Random(seed)
    data = draw.randbytes(length // 2) + bytes(length - length // 2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pieces, "WINDOW", window)
        found = list(pieces.pieces(_Slow(data, iter(lambda: draw.randint(1, 50_000), 0))))  # type: ignore[arg-type]
    assert b"".join(found) == data
    assert all(0 < len(piece) <= pieces.MOST for piece in found)
    assert all(len(piece) >= pieces.LEAST for piece in found[:-1])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pieces, "WINDOW", 8 << 20)
        assert list(pieces.pieces(io.BytesIO(data))) == found


def test_what_was_inserted_moves_only_the_cuts_beside_it() -> None:
    data = random.Random(2).randbytes(3_000_000)
    longer = data[:1_000_000] + b"a few bytes more" + data[1_000_000:]
    before, after = (set(pieces.pieces(io.BytesIO(bytes_))) for bytes_ in (data, longer))
    assert len(after - before) <= 4


def test_a_newer_format_is_refused_by_name(tmp_path: Path) -> None:
    target = tmp_path / "new.irsnapshot"
    with repository.create(target, Manifest(99, "9.0", "now")):
        pass
    with pytest.raises(BackupDamaged, match=r"newer version \(9\.0\)"):
        forms.read(target)
