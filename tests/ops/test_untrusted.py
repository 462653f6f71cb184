"""Archives and stores are not trusted: no row runs code, nobody's archive passes for the node's own, nothing is believed of sizes."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import io
import os
import pickle
import resource
import shutil
import sqlite3
import subprocess
import sys
import tarfile
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest
import zstandard
from dbos._serialization import DefaultSerializer

from intellirouter.app.roles import select
from intellirouter.app.supervisor import running
from intellirouter.chains.runtime.durable.rows import StrangeRows
from intellirouter.config.load import Loaded, load
from intellirouter.config.schema.auth import AuthSection
from intellirouter.errors import KeyEnded, StateError
from intellirouter.identity.store import PeopleStore
from intellirouter.inference.virtual_keys import Follower, KeyStore, make_key
from intellirouter.memory.open import open_state
from intellirouter.ops.backup import archive, forms
from intellirouter.ops.backup.archive import MANIFEST, BackupDamaged
from intellirouter.ops.backup.make import make
from intellirouter.ops.backup.restore import plan, restore
from intellirouter.security.api_keys import KeyRing
from intellirouter.security.caller import Owner
from intellirouter.security.people import Team, new_account
from tests.servers.postgres import postgres
from tests.servers.process import command
from tests.servers.redis import redis_server

TOKEN = "[ipc.security]\nenabled = true\ntoken = 'f3c1a9d07b52e8641f0c'\n"


def node(directory: Path, more: str = "") -> Loaded:
    directory.mkdir(exist_ok=True)
    file = directory / "node.toml"
    quiet = "[model_registry]\ndiscover_environment = false\n"
    file.write_text(f"[server]\nport = 0\n{quiet}[paths]\ndata_dir = '{directory / 'data'}'\n{more}")
    return load(file, {})


class Run:
    """What an attacker puts into a row: it makes a file when it is read."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return (os.mkdir, (str(self.mark),))


def attack(mark: Path) -> str:
    return base64.b64encode(pickle.dumps(Run(mark))).decode()


@contextlib.asynccontextmanager
async def engine(loaded: Loaded) -> AsyncIterator[None]:
    async with running(loaded, select("ChainEngine")):
        yield


ROW = {
    "workflow_uuid": "run_evil",
    "status": "PENDING",
    "name": "chain",
    "executor_id": "single",
    "application_version": "chains-1",
}


def row(mark: Path, reader: str = "py_pickle") -> dict[str, Any]:
    now = int(time.time() * 1000)
    return {**ROW, "inputs": attack(mark), "serialization": reader, "created_at": now, "updated_at": now}


def insert(file: Path, values: dict[str, Any], table: str = "workflow_status") -> None:
    with contextlib.closing(sqlite3.connect(file)) as db, db:
        names = ", ".join(values)
        db.execute(
            f"insert into {table} ({names}) values ({', '.join('?' * len(values))})", [*values.values()]
        )


@pytest.mark.parametrize("reader", ["py_pickle", "java_jackson", ""])
async def test_a_row_that_names_its_own_reader_starts_no_node_and_is_in_no_restore(
    tmp_path: Path, reader: str
) -> None:
    mark = tmp_path / "ran"
    loaded = node(tmp_path / "node")
    async with engine(loaded):
        pass
    file = loaded.settings.paths.data_dir / "chains.db"
    clean = file.read_bytes()
    insert(file, row(mark, reader))
    evil, _ = make(loaded, tmp_path / "backups", lambda _: None)
    with pytest.raises(StrangeRows, match="'workflow_status' wants to be read as"):
        async with engine(loaded):
            pass
    file.write_bytes(clean)
    with pytest.raises(StrangeRows):
        restore(evil, loaded.settings)
    active = {
        "py_pickle": ("trigger", "after insert on workflow_status begin delete from workflow_status; end"),
        "java_jackson": ("view", "as select * from workflow_status"),
    }
    if reader in active:  # what acts by itself, in any of the databases
        kind, words = active[reader]
        with contextlib.closing(sqlite3.connect(file)) as db:
            db.execute(f"create {kind} always {words}")
        evil, _ = make(loaded, tmp_path / "backups", lambda _: None)
        with pytest.raises(StateError, match=f"has a {kind} 'always'"):
            restore(evil, loaded.settings)
        file.write_bytes(clean)
    assert file.read_bytes() == clean
    async with engine(loaded):
        pass
    assert not mark.exists()


@pytest.mark.parametrize("table", ["operation_outputs", "notifications", "workflow_events", "streams"])
async def test_rows_of_every_table_are_looked_at(tmp_path: Path, table: str) -> None:
    loaded = node(tmp_path / "node")
    async with engine(loaded):
        pass
    file = loaded.settings.paths.data_dir / "chains.db"
    with contextlib.closing(sqlite3.connect(file)) as db:
        needed = {
            name: 1 if "INT" in kind.upper() else "x"
            for _, name, kind, required, default, _ in db.execute(f"pragma table_info({table})")
            if required and default is None
        }
        db.execute("pragma foreign_keys = off")
    insert(file, {**needed, "serialization": "py_pickle"}, table)
    with pytest.raises(StrangeRows, match=f"'{table}'"):
        async with engine(loaded):
            pass


async def test_a_row_that_comes_into_a_shared_database_is_read_by_nobody(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    with postgres() as database:
        loaded = node(tmp_path / "node", f"[chain_engine]\ndatabase_url = '{database}'\n")
        async with engine(loaded):
            pass
        values = row(mark)
        with psycopg.connect(database) as db:
            words = f"insert into dbos.workflow_status ({', '.join(values)}) values ({', '.join(['%s'] * len(values))})"
            db.execute(words.encode(), [*values.values()])
        with pytest.raises(StrangeRows, match="py_pickle"):
            async with engine(loaded):
                pass
        evil, _ = await asyncio.to_thread(make, loaded, tmp_path / "backups", lambda _: None)
        with psycopg.connect(database) as db:
            db.execute("delete from dbos.workflow_status")
        with pytest.raises(StrangeRows, match="py_pickle"):
            await asyncio.to_thread(restore, evil, loaded.settings, ["chains"])
        with psycopg.connect(database) as db:
            assert db.execute("select count(*) from dbos.workflow_status").fetchone() == (0,)
        async with engine(loaded):  # while it runs, the reader is the last guard
            with pytest.raises(ValueError, match="only portable_json is read"):
                DefaultSerializer().deserialize(attack(mark))
    assert not mark.exists()


# ---- whose an archive is


def documents(loaded: Loaded, text: str) -> Path:
    file: Path = loaded.settings.paths.data_dir / "documents/a.txt"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def repacked(source: Path, target: Path, change: Callable[[str, bytes], bytes]) -> Path:
    """An archive with other bytes in it whose every sum is right: what somebody can make who has no key."""
    whole = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(source.read_bytes()[:-40])).read()
    out = io.BytesIO()
    sums = {}
    with tarfile.open(fileobj=io.BytesIO(whole)) as old, tarfile.open(fileobj=out, mode="w") as new:
        for entry in old:
            data = old.extractfile(entry).read()  # type: ignore[union-attr]
            if entry.name == MANIFEST:
                manifest = msgspec.json.decode(data)
                manifest["files"] |= sums
                data = msgspec.json.encode(manifest)
            else:
                data = change(entry.name, data)
                sums[entry.name] = {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
            entry.size = len(data)
            new.addfile(entry, io.BytesIO(data))
    return sealed(zstandard.compress(out.getvalue()), target)


def sealed(packed: bytes, target: Path) -> Path:
    target.write_bytes(packed + b"IRBACKUP" + hashlib.sha256(packed).digest())
    return target


@pytest.mark.parametrize("incremental", [False, True])
async def test_a_node_knows_its_own_archives_and_asks_for_any_other(
    tmp_path: Path, incremental: bool
) -> None:
    own, other = node(tmp_path / "own"), node(tmp_path / "other")
    file = documents(own, "mine")
    target, _ = make(own, tmp_path / "b", lambda _: None, incremental=incremental)
    config = ("--config", str(own.file))
    file.write_text("newer")
    assert not plan(target, own.settings).foreign
    assert (await command("restore", str(target), *config))[0] == 0
    assert file.read_text() == "mine"
    # on another node, or where the key is lost, it asks; nobody is there to answer
    asked = ("restore", str(target), "--config", str(other.file))
    code, out, _ = await command(*asked, "--dry-run")
    assert code == 0
    assert "foreign: this node did not make it" in out
    code, _, errors = await command(*asked)
    assert code != 0
    assert "nobody vouches for what it holds" in errors
    assert "--trust-foreign" in errors
    assert not (other.settings.paths.data_dir / "documents").exists()
    assert (await command(*asked, "--trust-foreign"))[0] == 0
    assert (other.settings.paths.data_dir / "documents/a.txt").read_text() == "mine"


async def test_who_changes_an_archive_makes_it_foreign(tmp_path: Path) -> None:
    own = node(tmp_path / "own", TOKEN)
    documents(own, "mine")
    target, _ = make(own, tmp_path / "b", lambda _: None)
    same = repacked(target, tmp_path / "same.irbackup", lambda _, data: data)
    assert not plan(same, own.settings).foreign
    evil = repacked(
        target, tmp_path / "evil.irbackup", lambda name, data: b"his" if name.endswith("a.txt") else data
    )
    assert plan(evil, own.settings).foreign


async def test_nodes_of_one_token_know_each_others_archives(tmp_path: Path) -> None:
    one, two = node(tmp_path / "one", TOKEN), node(tmp_path / "two", TOKEN)
    documents(one, "ours")
    target, _ = make(one, tmp_path / "b", lambda _: None)
    assert not plan(target, two.settings).foreign
    published = TOKEN.replace("f3c1a9d07b52e8641f0c", "your_secure_token_here")
    open_to_all = node(tmp_path / "three", published), node(tmp_path / "four", published)
    documents(open_to_all[0], "anybody's")
    target, _ = make(open_to_all[0], tmp_path / "b2", lambda _: None)
    assert plan(target, open_to_all[1].settings).foreign


async def test_an_archive_that_a_passphrase_opens_is_known_by_it(tmp_path: Path) -> None:
    words = tmp_path / "words"
    words.write_text("wheel-otter-granite-5521\n")
    one, two = node(tmp_path / "one"), node(tmp_path / "two")
    documents(one, "mine")
    given = ("--passphrase-file", str(words))
    assert (await command("backup", "--to", str(tmp_path / "b"), *given, "--config", str(one.file)))[0] == 0
    target = next((tmp_path / "b").glob("*.irbackup"))
    code, _, errors = await command("restore", str(target), *given, "--config", str(two.file))
    assert code == 0, errors
    words.write_text("changeme1234\n")
    code, _, errors = await command("backup", "--to", str(tmp_path / "c"), *given, "--config", str(one.file))
    assert code != 0
    assert "common word" in errors


# ---- what it says of its sizes


def bomb_header() -> bytes:
    """A name of 3 GiB."""
    entry = tarfile.TarInfo("x")
    entry.type, entry.size = tarfile.XHDTYPE, 3 << 30
    return entry.tobuf(tarfile.USTAR_FORMAT)


def bomb_manifest() -> bytes:
    entry = tarfile.TarInfo(MANIFEST)
    entry.size = 3 << 30
    return entry.tobuf(tarfile.USTAR_FORMAT)


def zeros(head: bytes, target: Path) -> Path:
    squeeze = zstandard.ZstdCompressor().compressobj()
    packed = [squeeze.compress(head)]
    packed += [squeeze.compress(bytes(1 << 24)) for _ in range(3 << 6)]
    packed.append(squeeze.flush())
    return sealed(b"".join(packed), target)


@pytest.mark.parametrize("bomb", [bomb_header, bomb_manifest])
def test_a_bomb_is_refused_before_it_is_in_memory(tmp_path: Path, bomb: Callable[[], bytes]) -> None:
    target = zeros(bomb(), tmp_path / "bomb.irbackup")
    assert target.stat().st_size < 1 << 20

    def little() -> None:
        resource.setrlimit(resource.RLIMIT_DATA, (1 << 30, 1 << 30))

    done = subprocess.run(
        [sys.executable, "-m", "intellirouter", "backup", "verify", str(target)],
        capture_output=True,
        text=True,
        timeout=120,
        preexec_fn=little,
        check=False,
    )
    assert done.returncode == 1
    assert "cannot be read as a backup" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_link_a_device_and_a_hole_are_no_files(tmp_path: Path) -> None:
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.GNUTYPE_SPARSE):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as tar:
            entry = tarfile.TarInfo("documents/a")
            entry.type, entry.linkname = kind, "/etc/passwd"
            tar.addfile(entry)
        target = sealed(zstandard.compress(out.getvalue()), tmp_path / "x.irbackup")
        with pytest.raises(BackupDamaged):
            forms.read(target)


# ---- what it must not undo

SIGN_IN = "people:session:of-the-backup"


async def revoked_since(loaded: Loaded) -> None:
    """Between the backup and its restore: one key revoked, one rotated, one made; people blocked, narrowed, deleted and made."""
    settings = loaded.settings
    async with open_state(settings.memory.unhurried(), settings.paths.data_dir) as store:
        keys = KeyStore(store)
        await keys.revoke("ended")
        await keys.rotate("turned", grace=0)
        await keys.create(make_key("late")[0])
        people = PeopleStore(store)
        await people.block("blocked")
        await people.update("narrowed", roles=("viewer",))
        await people.update("elsewhere", signed_out=time.time())
        await people.delete("deleted")
        await people.delete_team("deleted")
        await people.create(new_account("new"))
        await people.revoke("session", time.time() + 3600)
        await store.delete(SIGN_IN)
        await store.set(SIGN_IN + "-later", b"{}")


async def check_people(loaded: Loaded) -> None:
    """Nobody has more than before the restore, and nothing is missing but sign-ins."""
    settings = loaded.settings
    async with open_state(settings.memory.unhurried(), settings.paths.data_dir) as store:
        people = PeopleStore(store)
        found = {account.name: account for account in await people.accounts()}
        assert found.keys() == {"blocked", "narrowed", "elsewhere", "new"}
        assert found["blocked"].blocked and found["elsewhere"].signed_out
        assert found["narrowed"].roles == ("viewer",)
        assert await people.teams() == []
        assert "session" in await people.revoked()
        assert await store.get(SIGN_IN) is None, "its refresh token would be good again"
        assert await store.get(SIGN_IN + "-later") == b"{}"
        assert await store.get("drill") == b"old"
        await people.create(new_account("deleted"))  # the name is free


async def kept(loaded: Loaded) -> dict[str, Any]:
    settings = loaded.settings
    async with open_state(settings.memory.unhurried(), settings.paths.data_dir) as store:
        return {key.name: key for key in await KeyStore(store).all()}


@pytest.mark.parametrize("backend", ["embedded", "redis"])
async def test_a_restore_revives_no_key(tmp_path: Path, backend: str) -> None:
    with contextlib.ExitStack() as stack:
        more = ""
        if backend == "redis":
            redis = stack.enter_context(redis_server(tmp_path / "redis"))
            more = f"[memory]\nbackend_type = 'redis'\nredis_url = '{redis.url}'\ntimeout = 60\n"
        loaded = node(tmp_path / "node", more)
        settings = loaded.settings
        async with open_state(settings.memory.unhurried(), settings.paths.data_dir) as store:
            for name in ("ended", "turned", "stays"):
                await KeyStore(store).create(make_key(name)[0])
            await store.set("drill", b"old")
            for name in ("blocked", "narrowed", "elsewhere", "deleted"):
                await PeopleStore(store).create(new_account(name, roles=("admin",)))
            await PeopleStore(store).create_team(Team(name="deleted", created=1.0, roles=("admin",)))
            await store.set(SIGN_IN, b"{}")
        target, _ = await asyncio.to_thread(make, loaded, tmp_path / "b", lambda _: None)
        old = await kept(loaded)
        await revoked_since(loaded)
        new = await kept(loaded)
        also = ["redis"] if backend == "redis" else []
        await asyncio.to_thread(lambda: restore(target, settings, also=also))
        now = await kept(loaded)
        assert now["ended"].revoked is not None
        assert now["turned"].sha256 == new["turned"].sha256 != old["turned"].sha256
        assert now["stays"] == old["stays"]
        assert now["late"] == new["late"]
        await check_people(loaded)


async def test_the_nodes_copy_of_the_keys_ends_what_the_store_does_not_know(tmp_path: Path) -> None:
    loaded = node(tmp_path / "node")
    data, memory = loaded.settings.paths.data_dir, loaded.settings.memory
    async with open_state(memory, data) as store:
        await KeyStore(store).create(make_key("ended")[0])
    older = (data / "state.db").read_bytes()
    target, _ = make(loaded, tmp_path / "b", lambda _: None)

    async def followed() -> None:
        ring = KeyRing(AuthSection(enabled=True))
        async with open_state(memory, data) as store:
            await Follower(ring, KeyStore(store), data / "keys.json", 0.0).read()
        with pytest.raises(KeyEnded):
            ring.caller_of(Owner("default", "ended"))

    async with open_state(memory, data) as store:
        await KeyStore(store).revoke("ended")
    revoked = (await kept(loaded))["ended"].revoked
    await followed()
    copy = (data / "keys.json").read_bytes()
    for state in (b"not a database any more" * 100, older, None):  # lost, rolled back, gone
        (data / "state.db").unlink()
        if state is not None:
            (data / "state.db").write_bytes(state)
        (data / "keys.json").write_bytes(copy)
        restore(target, loaded.settings)
        assert (await kept(loaded))["ended"].revoked == revoked
    # and where nobody restored: the file of the store was put back by hand
    (data / "state.db").write_bytes(older)
    await followed()
    assert (await kept(loaded))["ended"].revoked


# ---- the configuration


async def test_the_configuration_comes_back_when_it_is_asked_for(tmp_path: Path) -> None:
    folder = tmp_path / "config"
    loaded = node(folder)
    assert loaded.file is not None
    (folder / "chains").mkdir()
    (folder / "chains/a.yaml").write_text("chain: {name: a}\n")
    (folder / "rag-manager.toml").write_text("[rag]\n")
    (folder / "key.pem").write_text("-----BEGIN PRIVATE KEY-----\n")
    documents(loaded, "x")
    shutil.move(folder / "data", tmp_path / "data")
    loaded.file.write_text(loaded.file.read_text().replace(str(folder / "data"), str(tmp_path / "data")))
    loaded = load(loaded.file, {})
    target, manifest = make(loaded, tmp_path / "b", lambda _: None)
    held = {name for name in manifest.files if name.startswith("config/")}
    assert held == {"config/node.toml", "config/chains/a.yaml", "config/rag-manager.toml"}
    assert "config/key.pem" in manifest.absent
    good = loaded.file.read_text()
    loaded.file.write_text(good + "# changed\n")
    loaded.file.chmod(0o640)
    (folder / "chains/a.yaml").unlink()
    config = ("--config", str(loaded.file))
    assert (await command("restore", str(target), *config))[0] == 0
    assert loaded.file.read_text().endswith("# changed\n")
    code, out, errors = await command("restore", str(target), "--only", "config", *config)
    assert code == 0, out + errors
    assert loaded.file.read_text() == good
    assert loaded.file.stat().st_mode & 0o777 == 0o640
    assert (folder / "chains/a.yaml").exists()
    assert (folder / "key.pem").exists()


async def test_servers_that_others_may_use_are_left_alone_and_said(tmp_path: Path) -> None:
    with redis_server(tmp_path / "redis") as redis:
        loaded = node(tmp_path / "node", f"[memory]\nbackend_type = 'redis'\nredis_url = '{redis.url}'\n")
        documents(loaded, "x")
        redis.command("SET", "intellirouter:v:drill", "old")
        config = ("--config", str(loaded.file))
        assert (await command("backup", "--to", str(tmp_path / "b"), *config))[0] == 0
        target = str(next((tmp_path / "b").glob("*.irbackup")))
        redis.command("SET", "intellirouter:v:drill", "newer")
        code, out, _ = await command("restore", target, "--dry-run", *config)
        assert code == 0
        assert "would leave redis alone: it is a server, which other nodes may use (--also redis" in out
        code, out, _ = await command("restore", target, *config)
        assert code == 0
        assert "leaving redis alone" in out
        assert b"newer" in redis.command("GET", "intellirouter:v:drill")
        code, out, _ = await command("restore", target, "--only", "redis", *config)
        assert code == 0
        assert b"old" in redis.command("GET", "intellirouter:v:drill")


def test_what_was_written_by_an_earlier_version_is_read_and_is_foreign(tmp_path: Path) -> None:
    loaded = node(tmp_path / "node")
    documents(loaded, "x")
    manifest = archive.Manifest(archive.FORMAT, "0.0.9", "2026-01-01T00:00:00+00:00")
    target = tmp_path / "old.irbackup"
    with archive.create(target, manifest) as writer:
        writer.add("documents/a.txt", loaded.settings.paths.data_dir / "documents/a.txt")
    assert plan(target, loaded.settings).foreign
    with pytest.raises(StateError):
        restore(target, loaded.settings, allow=_never)


def _never(planned: Any) -> None:
    raise StateError(f"{planned.foreign}")
