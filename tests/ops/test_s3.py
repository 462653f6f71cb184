"""Backups in a bucket: sent as they are made, whole or not there, and restored from it."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from intellirouter.cli.main import main
from intellirouter.errors import InvalidRequest, StateUnavailable
from intellirouter.ops.backup import archive, place
from intellirouter.ops.backup.archive import Manifest
from tests.servers.s3 import S3Server, s3_server

BUCKET = "backups"
PREFIX = f"s3://{BUCKET}/nodes/router-1"


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with s3_server() as running:
        yield running


@pytest.fixture
def bucket(server: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Server]:
    for name, value in {
        "AWS_ACCESS_KEY_ID": "planted-access-key",
        "AWS_SECRET_ACCESS_KEY": "planted-secret-key",
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": server.url,
    }.items():
        monkeypatch.setenv(name, value)
    server.make(BUCKET)
    used = place.directory(PREFIX)
    yield server
    for file in used.glob("*"):
        file.unlink()


def node(directory: Path, more: str = "") -> Path:
    """A node's configuration, and a document of two parts' size that does not compress."""
    (directory / "data/documents").mkdir(parents=True)
    (directory / "data/documents/large").write_bytes(random.Random(3).randbytes(20 << 20))
    file = directory / "node.toml"
    file.write_text(f"{more}\n[paths]\ndata_dir = '{directory / 'data'}'\n")
    return file


def call(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> str:
    """What the command said."""
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    said = capsys.readouterr()
    assert ended.value.code == code, said.err
    return said.out + said.err


def test_a_node_goes_to_a_bucket_and_comes_back(
    bucket: S3Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, document = node(tmp_path), tmp_path / "data/documents/large"
    content = document.read_bytes()
    call(capsys, "backup", "--to", PREFIX, "--config", str(config))
    (key,) = bucket.names(BUCKET)
    name = key.rpartition("/")[2]
    assert key == f"nodes/router-1/{name}"
    assert bucket.half_sent(BUCKET) == []
    assert name in call(capsys, "backup", "list", PREFIX)
    assert "whole" in call(capsys, "backup", "verify", f"{PREFIX}/{name}")
    document.write_text("changed")
    call(capsys, "restore", f"{PREFIX}/{name}", "--config", str(config))
    assert document.read_bytes() == content

    data = bytearray(bucket.get(f"{BUCKET}/{key}"))
    data[len(data) // 2] ^= 1
    bucket.put(f"{BUCKET}/{key}", bytes(data))
    assert "cannot be read as a backup" in call(capsys, "backup", "verify", f"{PREFIX}/{name}", code=1)


def test_the_oldest_of_a_bucket_go(bucket: S3Server, capsys: pytest.CaptureFixture[str]) -> None:
    names = [f"intellirouter-2020010{day}T000000.000000Z.irbackup" for day in (1, 2, 3)]
    for name in (*names, "notes.txt"):
        bucket.put(f"{BUCKET}/nodes/router-1/{name}", b"x")
    said = call(capsys, "backup", "prune", PREFIX, "--keep-days", "1", "--keep-daily", "2")
    assert f"deleted {PREFIX}/{names[0]}" in said
    assert sorted(bucket.names(BUCKET)) == [f"nodes/router-1/{name}" for name in (*names[1:], "notes.txt")]


def test_a_passphrase_opens_what_lies_in_a_bucket(
    bucket: S3Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, words = node(tmp_path, "[ipc.security]\ntoken = 'planted-node-token'"), tmp_path / "words"
    words.write_text("four words nobody guesses\n")
    given = ("--passphrase-file", str(words))
    call(capsys, "backup", "--to", PREFIX, "--config", str(config), *given)
    assert sorted(name.rpartition(".")[2] for name in bucket.names(BUCKET)) == ["age", "irbackup"]
    (name,) = (file.name for file in place.directory(PREFIX).glob("*.irbackup"))
    assert b"planted" not in bucket.get(f"{BUCKET}/nodes/router-1/{name}")
    (tmp_path / "data/documents/large").unlink()
    call(capsys, "restore", f"{PREFIX}/{name}", "--config", str(config), *given)
    assert (tmp_path / "data/documents/large").stat().st_size == 20 << 20


def test_one_that_fails_on_the_way_leaves_nothing(bucket: S3Server, tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(os.urandom(40 << 20))
    target = place.directory(PREFIX) / "intellirouter-20200101T000000.000000Z.irbackup"
    with (
        pytest.raises(OSError, match="the disk is gone"),
        archive.create(target, Manifest(1, "test", "now")) as writer,
    ):
        writer.add("large", tmp_path / "large")
        raise OSError("the disk is gone")
    assert (bucket.names(BUCKET), bucket.half_sent(BUCKET)) == ([], [])


def test_what_the_service_says_is_said(
    bucket: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = node(tmp_path)
    to = ("backup", "--config", str(config), "--to")
    assert "does not exist" in (said := call(capsys, *to, "s3://nobody", code=1))
    assert "planted" not in said
    assert "no s3://BUCKET/PREFIX" in call(capsys, *to, "s3://", code=2)
    assert bucket.names(BUCKET) == []
    with pytest.raises(FileNotFoundError, match="not found"):
        place.file(f"{PREFIX}/nobody.irbackup").open("rb")

    monkeypatch.setattr("intellirouter.transport.bucket.RETRIES", 1)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(StateUnavailable, match=r"127\.0\.0\.1:9"):
        list(place.directory(PREFIX).glob("*"))


def test_without_its_package_a_bucket_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "obstore.store", None)
    with pytest.raises(InvalidRequest, match=r"intellirouter\[s3\]"):
        place.directory(PREFIX)
