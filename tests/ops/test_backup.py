"""Backups are whole or refused, and taken while a node writes."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import IO

import pyrage
import pytest

from intellirouter.config.load import Loaded, load
from intellirouter.errors import InvalidRequest
from intellirouter.memory.embedded.store import EmbeddedStore
from intellirouter.memory.open import FILE
from intellirouter.ops.backup import age, archive
from intellirouter.ops.backup.archive import BackupDamaged, Manifest
from intellirouter.ops.backup.make import STATE, counts, make
from intellirouter.ops.backup.restore import restore
from tests.servers.warm.process import warm_command


def node(directory: Path, more: str = "") -> Loaded:
    """A node's configuration, personas and documents."""
    data = directory / "data"
    for name, text in {"personas/a.yaml": "name: a", "documents/deep/b.txt": "b" * 3000}.items():
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        (data / name).write_text(text)
    file = directory / "node.toml"
    file.write_text(f"{more}\n[paths]\ndata_dir = '{data}'\n")
    return load(file, {})


def small(directory: Path) -> Path:
    """A small archive of two files."""
    for name in ("one", "two"):
        (directory / name).write_text(name * 20)
    target = directory / "small.irbackup"
    with archive.create(target, Manifest(1, "test", "now")) as writer:
        writer.add("one", directory / "one")
        writer.add("two", directory / "two")
    return target


async def test_a_backup_under_write_load_holds_a_consistent_store(tmp_path: Path) -> None:
    loaded = node(tmp_path)
    store = await EmbeddedStore(loaded.settings.paths.data_dir / FILE).open()
    stop, enough = asyncio.Event(), asyncio.Event()
    written = 0

    async def write() -> None:
        nonlocal written
        while not stop.is_set():
            await asyncio.gather(*(store.set(f"key:{written + n}", b"v" * 500) for n in range(50)))
            written += 50
            if written >= 2000:
                enough.set()

    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(write())
            await enough.wait()
            before = written
            target, manifest = await asyncio.to_thread(make, loaded, tmp_path / "backups", lambda name: None)
            stop.set()
    finally:
        await store.aclose()
    assert before <= manifest.counts["entry"] <= written
    assert set(manifest.files) == {"config/node.toml", "personas/a.yaml", "documents/deep/b.txt", STATE}
    assert {"vectors", "chains", "rag"} <= set(manifest.absent)
    assert archive.read(target) == manifest
    restored = tmp_path / "restored.db"

    def sink(name: str, stream: IO[bytes]) -> None:
        if name == STATE:
            restored.write_bytes(stream.read())

    archive.read(target, sink)
    connection = sqlite3.connect(restored)
    assert counts(connection) == manifest.counts
    connection.close()


def test_every_changed_byte_is_found(tmp_path: Path) -> None:
    target = small(tmp_path)
    whole = target.read_bytes()
    archive.read(target)
    for position in range(len(whole)):
        changed = bytearray(whole)
        changed[position] ^= 1 << position % 8
        target.write_bytes(changed)
        with pytest.raises(BackupDamaged):
            archive.read(target)


def test_every_cut_is_found(tmp_path: Path) -> None:
    target = small(tmp_path)
    whole = target.read_bytes()
    for length in range(len(whole)):
        target.write_bytes(whole[:length])
        with pytest.raises(BackupDamaged):
            archive.read(target)


def test_a_newer_format_is_refused_by_name(tmp_path: Path) -> None:
    target = tmp_path / "new.irbackup"
    with archive.create(target, Manifest(99, "9.0", "now")):
        pass
    with pytest.raises(BackupDamaged, match=r"newer version \(9\.0\)"):
        archive.read(target)


def test_what_fails_leaves_nothing(tmp_path: Path) -> None:
    with (
        pytest.raises(tarfile.TarError),
        archive.create(tmp_path / "never.irbackup", Manifest(1, "test", "now")),
    ):
        raise tarfile.TarError("in the middle")
    assert list(tmp_path.iterdir()) == []


def test_a_configuration_with_a_secret_stays_out(tmp_path: Path) -> None:
    loaded = node(tmp_path, "[ipc.security]\ntoken = 'planted-secret-token'")
    target, manifest = make(loaded, tmp_path / "backups", lambda name: None)
    assert "secret" in manifest.absent["config"]
    seen: list[bytes] = []
    archive.read(target, lambda name, stream: seen.append(stream.read()))
    assert seen
    assert b"planted-secret-token" not in b"".join(seen)
    assert target.stat().st_mode & 0o077 == 0


def test_a_killed_backup_leaves_no_archive(tmp_path: Path) -> None:
    node(tmp_path)
    (tmp_path / "data/documents/large").write_bytes(os.urandom(64 << 20))
    backups = tmp_path / "backups"
    command = [sys.executable, "-m", "intellirouter", "backup", "--to", str(backups), "--config"]
    process = subprocess.Popen(
        [*command, str(tmp_path / "node.toml")],
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 60
    while not list(backups.glob(".*.partial")) and time.monotonic() < deadline:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    assert process.wait(30) == -signal.SIGKILL
    for finished in backups.glob("*.irbackup"):
        archive.read(finished)
    assert list(backups.glob(".*.partial")) or list(backups.glob("*.irbackup"))


def test_the_command_makes_lists_and_verifies(tmp_path: Path) -> None:
    node(tmp_path)
    backups = tmp_path / "backups"

    def call(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*warm_command(), "backup", *words],
            capture_output=True,
            text=True,
            timeout=60,
            env={**os.environ, "PYTHONPATH": str(Path.cwd()), "COLUMNS": "200"},
            check=False,
        )

    made = call("--to", str(backups), "--config", str(tmp_path / "node.toml"), "--json")
    assert made.returncode == 0, made.stderr
    file = Path(json.loads(made.stdout)["archive"])
    assert call("verify", str(file)).returncode == 0
    assert file.name in call("list", str(backups)).stdout
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    assert call("verify", str(file)).returncode == 1
    listed = call("list", str(backups))
    assert (listed.returncode, "damaged" in listed.stdout) == (1, True)


def test_an_encrypted_backup_opens_with_its_key_alone_and_shows_nothing(tmp_path: Path) -> None:
    loaded = node(tmp_path, "[ipc.security]\ntoken = 'planted-secret-token'")
    (tmp_path / "data/documents/plain").write_bytes(b"planted-secret-text" * 100_000)
    mine, other = pyrage.x25519.Identity.generate(), pyrage.x25519.Identity.generate()
    for name, text in (("to", mine.to_public()), ("key", mine), ("wrong", other), ("none", "nothing")):
        (tmp_path / name).write_text(f"# a comment\n{text}\n")
    target, manifest = make(loaded, tmp_path / "b", lambda _: None, age.recipients(tmp_path / "to"))
    assert "config" not in manifest.absent
    data = target.read_bytes()
    assert archive.encrypted(target)
    assert b"planted" not in data
    assert b"node.toml" not in data
    assert archive.verify(target) is None
    assert archive.verify(target, age.identities(tmp_path / "key")) == manifest
    with pytest.raises(InvalidRequest, match="--identity"):
        archive.read(target)
    with pytest.raises(BackupDamaged, match="not decrypted"):
        archive.read(target, identities=age.identities(tmp_path / "wrong"))
    with pytest.raises(InvalidRequest, match="no key"):
        age.identities(tmp_path / "none")
    for position in range(0, len(data), 7):
        changed = bytearray(data)
        changed[position] ^= 1 << position % 8
        target.write_bytes(changed)
        with pytest.raises((BackupDamaged, InvalidRequest)):
            archive.verify(target)
    target.write_bytes(data)
    (tmp_path / "data/documents/plain").unlink()
    restore(target, loaded.settings, identities=age.identities(tmp_path / "key"))
    assert (tmp_path / "data/documents/plain").read_bytes() == b"planted-secret-text" * 100_000
