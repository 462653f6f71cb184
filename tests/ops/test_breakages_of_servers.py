"""Nodes whose servers are there and do not do: a Postgres without rights, a Sentinel of another name, a proxy in place of a role."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from tests.ops.test_breakages import Node, answering, diagnose, redis
from tests.servers.ports import free_port
from tests.servers.postgres import postgres
from tests.servers.process import node_process


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    with contextlib.ExitStack() as stack:
        yield Node(tmp_path, stack)


def _held(node: Node, build: Callable[[Node], str], code: int, name: str, cause: str, remedy: str) -> None:
    returned, found, printed = diagnose(node, build(node))
    assert name in found, printed
    assert cause in found[name]["message"], found[name]
    assert remedy in found[name]["advice"], found[name]
    assert returned == code, printed


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    with postgres() as url:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("create role narrow login")
            connection.execute("create role reader login")
            connection.execute("alter role reader set default_transaction_read_only = on")
            connection.execute("revoke create on database postgres from public")
        yield url


@pytest.mark.parametrize("section", ["chain_engine", "records"])
@pytest.mark.parametrize(
    ("change", "cause", "remedy"),
    [
        (lambda url: url.replace("/postgres", "/nowhere"), 'database "nowhere" does not exist', "createdb"),
        (lambda url: url.replace("tester@", "stranger@"), 'role "stranger" does not exist', "createuser"),
        (lambda url: url + "?sslmode=require", "SSL was required", "sslmode"),
        (lambda url: url.replace("tester@", "narrow@"), "does not let narrow make a schema", "grant create on database"),
        (lambda url: url.replace("tester@", "reader@"), "takes no writes from reader", "default_transaction_read_only"),
    ],
)  # fmt: skip
def test_a_postgres_that_does_not_do(
    node: Node, database: str, section: str, change: Callable[[str], str], cause: str, remedy: str
) -> None:
    name = {"chain_engine": "runs", "records": "record"}[section]
    _held(node, lambda _: f'[{section}]\ndatabase_url = "{change(database)}"', 2, name, cause, remedy)


def sentinel(node: Node) -> str:
    port, file = free_port(), node.directory / "sentinel.conf"
    file.write_text(f"port {port}\nsentinel monitor mymaster 127.0.0.1 {urlsplit(redis(node)).port} 1\n")
    process = subprocess.Popen(["redis-server", str(file), "--sentinel"], stdout=subprocess.PIPE)
    node.stack.callback(process.wait)
    node.stack.callback(process.kill)
    assert process.stdout is not None
    node.stack.callback(process.stdout.close)
    assert any(b"+monitor" in line for line in process.stdout)
    return f'[memory]\nbackend_type = "redis"\nredis_sentinels = ["127.0.0.1:{port}"]\nredis_sentinel_master = "prod"'


def no_cluster(node: Node) -> str:
    return f'[memory]\nbackend_type = "redis"\nredis_cluster = true\nredis_url = "{redis(node)}"'


def peer(status: int, body: bytes) -> Callable[[Node], str]:
    return lambda node: f'[ipc]\nrag_manager_endpoint = "http://127.0.0.1:{answering(node, status, body)}"'


def chroma(status: int) -> Callable[[Node], str]:
    def build(node: Node) -> str:
        node.options += ["--role", "RagManager"]
        url = f"http://127.0.0.1:{answering(node, status, b'{}')}"
        return f'[rag]\nvector_db_url = "{url}"\nembedding_model = "house/embed"\n'

    return build


def log_folder(node: Node) -> str:
    (node.directory / "router.log").mkdir()
    return f'[telemetry]\nlog_file = "{node.directory}/router.log"'


OTHER = json.dumps({"status": "alive", "role": "PersonaLayer"}).encode()
BREAKAGES: list[Any] = [
    (sentinel, "redis", "No master found for 'prod'", "redis_sentinel_master"),
    (no_cluster, "redis", "is no Cluster", "cluster-enabled"),
    (peer(200, OTHER), "RagManager", "it is the PersonaLayer's", "address of the RagManager"),
    (
        peer(200, b"<html>Welcome to nginx"),
        "RagManager",
        "it is no IntelliRouter",
        "address of the RagManager",
    ),
    (peer(404, b""), "RagManager", "HTTP 404", "no proxy's"),
    (peer(302, b""), "RagManager", "HTTP 302", "no proxy's"),
    (peer(401, b""), "RagManager", "wants to know who asks", "credentials"),
    (chroma(410), "Chroma", "HTTP 410", "address of the Chroma"),
    (chroma(404), "Chroma", "HTTP 404", "address of the Chroma"),
    (log_folder, "log", "router.log is a directory", "does not start"),
]


@pytest.mark.parametrize(("build", "name", "cause", "remedy"), BREAKAGES)
def test_a_server_that_is_another(
    node: Node, build: Callable[[Node], str], name: str, cause: str, remedy: str
) -> None:
    _held(node, build, 2, name, cause, remedy)


async def test_a_role_where_it_should_be_is_well(tmp_path: Path) -> None:
    there = {"INTELLIROUTER__PATHS__DATA_DIR": str(tmp_path / "there")}
    async with node_process("--role", "PersonaLayer", "--port", "0", environment=there) as other:
        url = await other.url()
        with contextlib.ExitStack() as stack:
            _, found, printed = diagnose(Node(tmp_path, stack), f'[ipc]\npersona_layer_endpoint = "{url}"')
    assert found["PersonaLayer"]["level"] in ("ok", "warning"), printed
    assert "HTTP 200" in printed
