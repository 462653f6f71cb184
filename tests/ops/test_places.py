"""Incremental backups in every kind of place: a directory, a bucket, a server by SFTP, what rclone knows. One suite for all."""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psutil
import pytest

from intellirouter.cli.main import main
from intellirouter.config.load import load
from intellirouter.errors import Conflict, IntelliRouterError, InvalidRequest, StateUnavailable
from intellirouter.ops.backup import forms, locks, looking, marks, place, repository, shelf
from intellirouter.ops.backup.drill import drill
from intellirouter.ops.backup.make import make
from intellirouter.ops.backup.restore import restore
from tests.ops.test_repository import change, contents, node
from tests.servers.s3 import S3Server, s3_server
from tests.servers.sshd import Sshd, sshd

BUCKET = "incremental"
RCLONE = shutil.which("rclone")
PLACES = ("directory", "s3", "sftp", "rclone")


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with s3_server() as running:
        running.make(BUCKET)
        yield running


@pytest.fixture(scope="module")
def ssh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    with sshd(tmp_path_factory.mktemp("sshd")) as running:
        yield running


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with nothing in it: no cache of another test."""
    found = tmp_path / "home"
    found.mkdir()
    monkeypatch.setenv("HOME", str(found))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    return found


@pytest.fixture(params=PLACES)
def address(
    request: pytest.FixtureRequest, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> str:
    return place_of(request.param, request, home, tmp_path, monkeypatch)


def place_of(
    kind: str, request: pytest.FixtureRequest, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> str:
    if kind == "directory":
        return str(tmp_path / "there")
    if kind == "s3":
        running = request.getfixturevalue("server")
        for name, value in {
            "AWS_ACCESS_KEY_ID": "planted",
            "AWS_SECRET_ACCESS_KEY": "planted",
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": running.url,
        }.items():
            monkeypatch.setenv(name, value)
        return f"s3://{BUCKET}/{tmp_path.name}"
    if kind == "sftp":
        ssh = request.getfixturevalue("ssh")
        (home / ".ssh").mkdir(mode=0o700)
        (home / ".ssh/known_hosts").write_text(ssh.known_hosts)
        monkeypatch.setenv("INTELLIROUTER_SSH_KEY", str(ssh.key))
        return f"sftp://{getpass.getuser()}@127.0.0.1:{ssh.port}{tmp_path}/far/deep"
    if RCLONE is None:
        if os.environ.get("CI"):
            raise RuntimeError("rclone is not installed: apt-get install rclone")
        pytest.skip("rclone is not installed: apt-get install rclone")
    monkeypatch.setenv("RCLONE_CONFIG_FAR_TYPE", "local")
    return f"rclone:far:{tmp_path}/rclone"


def size(where: place.Directory) -> int:
    files = (*where.glob("*.irsnapshot"), *place.folder(where, "packs").glob("*.pack"))
    return sum(map(place.size, files))


def test_what_changed_is_sent_and_all_of_it_comes_back_elsewhere(
    address: str, tmp_path: Path, home: Path
) -> None:
    loaded, where = node(tmp_path), place.directory(address)
    first, _ = make(loaded, where, lambda _: None, incremental=True, tags=["first"])
    full = size(where)
    change(loaded, 0.01)
    second, _ = make(loaded, where, lambda _: None, incremental=True)
    assert size(where) - full < 0.05 * full
    assert marks.read(loaded.settings.paths.data_dir).backup is not None

    shutil.rmtree(home / ".cache", ignore_errors=True)  # as another machine, that has only the address
    found = [place.file(f"{address}/{file.name}") for file in (first, second)]
    assert [forms.verify(file) is not None for file in found] == [True, True]
    assert looking.check(where, "100%").problems == []
    held = contents(found[1])  # type: ignore[arg-type]  # any place will do
    assert held["personas/a.yaml"] == b"name: a"
    old, new = (looking.manifest_of(file) for file in found)
    assert [change.name for change in looking.changes(old, new)] == ["rag/catalog.sqlite3"]

    other = tmp_path / "other"
    other.mkdir()
    (other / "node.toml").write_text(f"[paths]\ndata_dir = '{other / 'data'}'\n")
    elsewhere = load(other / "node.toml", {})
    restore(found[1], elsewhere.settings)
    assert (other / "data/rag/catalog.sqlite3").read_bytes() == held["rag/catalog.sqlite3"]
    assert drill(found[0], loaded.settings).stores == ["personas", "documents", "rag", "config"]

    first.unlink()
    before, after = repository.prune(where)
    assert after <= before
    assert forms.verify(found[1])
    assert [*place.folder(where, locks.FOLDER).glob("*")] == []


@pytest.mark.parametrize("address", ["s3"], indirect=True)
@pytest.mark.parametrize("packs_sent", [1])
def test_one_that_is_cut_off_goes_on_where_it_was(
    address: str, packs_sent: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut at a pack: what was sent is found there by the next one and not sent again, and no half backup is seen."""
    monkeypatch.setattr(repository.packs, "PACK_BYTES", 600_000)
    loaded, where = node(tmp_path), place.directory(address)
    sent: list[str] = []
    send = place.send

    def cut(source: Path, target: place.File) -> None:
        if len(sent) == packs_sent:
            raise StateUnavailable("the line is cut")
        send(source, target)
        sent.append(target.name)

    monkeypatch.setattr(place, "send", cut)
    with pytest.raises(StateUnavailable, match="cut"):
        make(loaded, where, lambda _: None, incremental=True)
    assert [*forms.backups(where)] == []
    monkeypatch.setattr(
        place, "send", lambda source, target: (sent.append(target.name), send(source, target))[1]
    )
    already = set(sent)
    target, _ = make(loaded, where, lambda _: None, incremental=True)
    assert len(sent) == len(set(sent)), "a pack was sent twice"
    assert already <= {pack.name for pack in place.folder(where, "packs").glob("*")}
    assert forms.verify(target)


@pytest.mark.parametrize("address", PLACES[1:], indirect=True)
def test_two_do_not_write_at_once_and_a_dead_ones_lock_goes(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = place.directory(address)
    monkeypatch.setattr(shelf, "WAIT_SECONDS", 0.0)
    monkeypatch.setattr(locks, "_PAUSE_SECONDS", 0.01)
    other = place.folder(where, locks.FOLDER) / "elsewhere-1-aa.lock"

    def puts_down(at: float, *, alone: bool) -> None:
        with place.writing(other) as stream:
            stream.write(msgspec.json.encode(locks.Held("elsewhere", 1, at, alone)))

    puts_down(time.time(), alone=True)
    with pytest.raises(Conflict, match="process 1 of elsewhere"):
        repository.prune(where)
    puts_down(time.time(), alone=False)
    assert looking.check(where).problems == []  # both only read
    puts_down(time.time() - locks.STALE_SECONDS - 1, alone=True)
    repository.prune(where)
    assert [*place.folder(where, locks.FOLDER).glob("*")] == []


def test_the_lock_of_a_process_that_was_killed_here_goes_at_once(tmp_path: Path) -> None:
    """Whatever the clock says: the backup after a kill -9 waited for half an hour."""
    began = psutil.Process().create_time()
    gone = subprocess.Popen(["true"])
    gone.wait(60)
    for pid, started, dead in (
        (os.getpid(), began, False),
        (os.getpid(), began - 1000, True),  # the number was given out again
        (gone.pid, began, True),
    ):
        lock = tmp_path / "there.lock"
        held = locks.Held("here", pid, time.time(), True, locks._machine(), started)
        lock.write_bytes(msgspec.json.encode(held))
        assert (locks._in_the_way(tmp_path, tmp_path / "mine.lock", True) is None) == dead
        assert lock.exists() != dead
    assert not locks.Held("here", gone.pid, time.time(), True, "another machine", began).is_dead()
    assert not locks.Held("here", gone.pid, time.time(), True).is_dead()  # of an older version


@pytest.mark.parametrize("address", PLACES, indirect=True)
def test_the_commands_look_into_backups(
    address: str, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    node(tmp_path)
    config = ("--config", str(tmp_path / "node.toml"))

    def said(*words: str, code: int = 0) -> str:
        with pytest.raises(SystemExit) as ended:
            main(words)
        out, err = capfdbinary.readouterr()
        assert ended.value.code == code, err
        return (out + err).decode()

    said("backup", "--to", address, "--incremental", "--tag", "one", *config)
    (tmp_path / "data/documents/deep/b.txt").write_text("shorter")
    (tmp_path / "data/documents/more").write_text("new")
    (tmp_path / "data/documents/none").unlink()
    said("backup", "--to", address, *config)
    names = sorted(file.name for file in forms.backups(place.directory(address)))
    old, new = (f"{address}/{name}" for name in names)
    listed = said("backup", "list", address)
    assert "tagged one" in listed
    assert "from " in listed
    assert "documents/deep/b.txt" in said("backup", "ls", old, "documents/")
    assert said("backup", "cat", old, "documents/deep/b.txt") == "b" * 3000
    assert "There is documents/deep/b.txt" in said("backup", "cat", old, "b.txt", code=2)
    differing = said("backup", "diff", old, new)
    assert [line.split()[:2] for line in differing.splitlines()[:-1]] == [
        ["M", "documents/deep/b.txt"],
        ["+", "documents/more"],
        ["-", "documents/none"],
    ]
    assert "2 backups and 1 pack, 1 of them read: no problem." in said(
        "backup", "check", address, "--read-data-subset", "1/1"
    )
    assert "can be restored" in said("backup", "drill", address, *config)
    assert marks.read(tmp_path / "data").drill == marks.Drilled(
        marks.read(tmp_path / "data").drill.at,
        ok=True,  # type: ignore[union-attr]
    )
    pruned = said("backup", "prune", address, "--keep-days", "0", "--keep-tag", "one")
    assert "deleted" not in pruned


@pytest.mark.parametrize("address", PLACES[:2], indirect=True)
def test_a_check_finds_what_is_damaged_and_what_is_missing(address: str, tmp_path: Path) -> None:
    loaded, where = node(tmp_path), place.directory(address)
    target, _ = make(loaded, where, lambda _: None, incremental=True)
    (pack,) = place.folder(where, "packs").glob("*.pack")
    data = bytearray(place.read_at(pack, 0, place.size(pack)))
    data[len(data) // 2] ^= 1
    pack.unlink()
    assert "pieces are in no pack" in looking.check(where).problems[0]
    with place.writing(pack) as stream:
        stream.write(data)
    assert looking.check(where).problems == []  # nothing was read of it
    (problem,) = looking.check(where, "100%").problems
    assert "not those that were written" in problem
    (tmp_path / "data/last-backup.json").unlink()
    with pytest.raises(IntelliRouterError):
        drill(target, loaded.settings)


def test_seven_checks_of_a_seventh_read_everything() -> None:
    names = [f"pack-{number}" for number in range(500)]
    read = [name for part in range(1, 8) for name in names if looking._chooser(f"{part}/7")(name)]
    assert sorted(read) == sorted(names)
    for wrong in ("0/7", "8/7", "0%", "101%", "half", "", "1/0"):
        with pytest.raises(InvalidRequest, match="is no part"):
            looking._chooser(wrong)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("sftp://", "is no sftp://"),
        ("sftp://host", "is no sftp://"),
        ("sftp://user:secret@host/dir", "is no sftp://"),
        ("sftp://host:port/dir", "is no sftp://"),
        ("rclone:", "is no rclone:"),
        ("rclone:--config=x:dir", "is no rclone:"),
        ("s3://", "is no s3://"),
    ],
)
def test_what_is_no_address_is_refused(address: str, words: str) -> None:
    with pytest.raises(InvalidRequest, match=words):
        place.directory(address)


def test_a_server_that_is_not_known_is_refused(ssh: Sshd, home: Path) -> None:
    (home / ".ssh").mkdir()
    with pytest.raises(StateUnavailable, match="not found in known_hosts"):
        list(place.directory(f"sftp://nobody@127.0.0.1:{ssh.port}/tmp/x").glob("*"))


def test_the_drill_of_killed_backups_holds_in_its_short_form() -> None:
    """Ten megabytes into the bucket, killed on the way and begun again, restored elsewhere. On a fast machine a kill may come late."""
    words = [
        sys.executable,
        "-m",
        "scripts.bucket_drill",
        "0.01",
        "--kills",
        "2",
        "--place",
        "s3",
        "--pack-bytes",
        "300000",
    ]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=280)
    assert "restored elsewhere: the same" in done.stdout, done.stdout + done.stderr
