"""A node that cannot start says why in one line, and what helps: no traceback, and no question at the terminal."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import aiohttp
import psycopg
import pytest

from tests.servers.certificates import Authority
from tests.servers.ports import free_port
from tests.servers.postgres import postgres
from tests.servers.process import command, node_process
from tests.servers.redis import redis_server


def linked(folder: Path) -> str:
    (folder / "data").symlink_to(folder / "disk")
    return ""


def a_file(folder: Path) -> str:
    (folder / "data").write_text("")
    return ""


def chains_folder(folder: Path) -> str:
    (folder / "data/chains.db").mkdir(parents=True)
    return ""


def chains_text(folder: Path) -> str:
    (folder / "data").mkdir()
    (folder / "data/chains.db").write_bytes(b"this is no database at all, " * 100)
    return ""


def chains_lock(folder: Path) -> str:
    (folder / "data/chains.db.lock").mkdir(parents=True)
    return ""


def state_text(folder: Path) -> str:
    (folder / "data").mkdir()
    (folder / "data/state.db").write_bytes(b"this is no database at all, " * 100)
    return ""


def swapped(folder: Path) -> str:
    certificate, key = Authority(folder).issue("Router")
    return f'[server.tls]\ncertificate = "{key}"\nkey = "{certificate}"\n'


def locked(folder: Path) -> str:
    certificate, key = Authority(folder).issue("Router")
    words = ["openssl", "pkey", "-in", str(key), "-aes256", "-passout", "pass:one", "-out", f"{key}.locked"]
    subprocess.run(words, check=True)
    return f'[server.tls]\ncertificate = "{certificate}"\nkey = "{key}.locked"\n'


@pytest.mark.parametrize(
    ("build", "code", "told"),
    [
        (linked, 78, ["is a link to", "is the disk mounted?"]),
        (a_file, 78, ["is no directory"]),
        (chains_folder, 1, ["chains.db, cannot be opened", "`intellirouter diagnose`"]),
        (chains_text, 1, ["chains.db, cannot be opened: file is not a database", "`intellirouter diagnose`"]),
        (chains_lock, 1, ["chains.db.lock, cannot be opened", "Is a directory"]),
        (state_text, 1, ["state.db cannot be opened: file is not a database", "`intellirouter diagnose`"]),
        (swapped, 78, ["cannot be used", "the wrong way round"]),
        (locked, 78, ["cannot be used", "locked by a passphrase"]),
    ],
)
async def test_what_is_broken_is_said(
    build: Callable[[Path], str], code: int, told: list[str], tmp_path: Path
) -> None:
    file = tmp_path / "node.toml"
    file.write_text(f'{build(tmp_path)}[paths]\ndata_dir = "{tmp_path / "data"}"\n')
    file.chmod(0o600)
    returned, out, errors = await command(
        "run", "--role", "ChainEngine", "--port", "0", "--config", str(file)
    )
    assert returned == code, errors
    assert all(words in errors for words in told), errors
    assert "Traceback" not in errors
    assert "pass phrase" not in out + errors
    assert len([line for line in errors.splitlines() if line.startswith("error:")]) == 1


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    with postgres() as url:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("create role narrow login")
            connection.execute("create role reader login superuser")
            connection.execute("alter role reader set default_transaction_read_only = on")
            connection.execute("revoke create on database postgres from public")
        yield url


@pytest.mark.parametrize(
    ("change", "code", "told"),
    [
        (lambda url: url.replace("/postgres", "/nowhere"), 1, 'database "nowhere" does not exist'),
        (lambda url: url.replace("tester@", "stranger:a-password-1@"), 1, 'role "stranger" does not exist'),
        (lambda url: url.replace("tester@", "narrow@"), 1, "permission denied"),
        (lambda url: url.replace("tester@", "reader@"), 1, "read-only transaction"),
        (lambda _: f"postgresql://ir:a-password-1@127.0.0.1:{free_port()}/ir", 1, "Connection refused"),
        (lambda _: "postgres//ir:a-password-1@127.0.0.1/ir", 78, "must start with postgresql://"),
    ],
)
async def test_a_database_that_does_not_do_is_said_in_a_line(
    database: str, change: Callable[[str], str], code: int, told: str, tmp_path: Path
) -> None:
    environment = {
        "INTELLIROUTER__PATHS__DATA_DIR": str(tmp_path),
        "INTELLIROUTER__CHAIN_ENGINE__DATABASE_URL": change(database),
    }
    returned, _, errors = await command(
        "run", "--role", "ChainEngine", "--port", "0", environment=environment
    )
    assert returned == code, errors
    assert told in errors
    assert "Traceback" not in errors
    assert "a-password-1" not in errors


async def test_a_redis_that_is_no_cluster_is_said_and_the_node_serves(tmp_path: Path) -> None:
    with redis_server(tmp_path / "redis") as redis:
        environment = {
            "INTELLIROUTER__PATHS__DATA_DIR": str(tmp_path / "data"),
            "INTELLIROUTER__MEMORY__BACKEND_TYPE": "redis",
            "INTELLIROUTER__MEMORY__REDIS_CLUSTER": "true",
            "INTELLIROUTER__MEMORY__REDIS_URL": redis.url,
        }
        async with node_process("--role", "Router", "--port", "0", environment=environment) as node:
            url = await node.url()
            async with aiohttp.ClientSession() as http, http.get(f"{url}/health") as reply:
                state = (await reply.json())["parts"]["state"]
    assert state["status"] == "degraded"
    assert "Redis does not answer as a Cluster" in state["reason"]
