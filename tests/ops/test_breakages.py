"""Nodes that are broken in one way each: `diagnose` names the cause and the remedy, its exit code says it, and it never crashes."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from intellirouter.ops.diagnose import machine
from intellirouter.roles.rag_manager import catalog, catalog_jobs
from tests.ops.test_diagnose import serving
from tests.servers.certificates import Authority
from tests.servers.ports import free_port
from tests.servers.process import node_process
from tests.servers.redis import RedisServer
from tests.servers.warm.process import warm_command

NOBODY = 65534


@dataclass
class Node:
    """A configuration, and what else the command is given."""

    directory: Path
    stack: contextlib.ExitStack
    options: list[str] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    prefix: list[str] = field(default_factory=list)

    @property
    def data(self) -> Path:
        """The data directory, made."""
        folder = self.directory / "data"
        folder.mkdir(exist_ok=True)
        return folder


def diagnose(node: Node, config: str) -> tuple[int, dict[str, dict[str, str]], str]:
    """Exit code, findings by name, and all that was printed."""
    file = node.directory / "node.toml"
    if config:
        ports = "".join(
            f"[roles.{role}]\nport = {port}\n"
            for port, role in enumerate(("chain_engine", "rag_manager", "persona_layer"), 2)
        )
        file.write_text(f"{config}\n{'' if '[roles' in config else ports}")
        file.chmod(0o640)
    words = list(node.prefix)
    words += [sys.executable, "-m", "intellirouter"] if words else warm_command()
    words += ["diagnose", "--config", str(file), "--json", "--timeout", "3"]
    done = subprocess.run(
        [*words, *node.options],
        capture_output=True,
        text=True,
        timeout=100,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(Path.cwd()),
            "HOME": str(node.directory),
            "INTELLIROUTER__PATHS__DATA_DIR": str(node.directory / "data"),
            "INTELLIROUTER__SERVER__PORT": "1",
            **node.environment,
        },
        check=False,
    )
    assert "Traceback" not in done.stdout + done.stderr
    assert done.stdout, done.stderr
    found = json.loads(done.stdout)["findings"]
    worst: dict[str, dict[str, str]] = {}
    for one in found:
        if one["name"] not in worst or one["level"] != "ok":
            worst[one["name"]] = one
    return done.returncode, worst, done.stdout


def closed_port() -> int:
    return free_port()


def silent(node: Node) -> int:
    """The port of something that accepts connections and says nothing."""
    listener = node.stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    return int(listener.getsockname()[1])


def redis(node: Node, *options: str) -> str:
    server = RedisServer(node.directory / "redis", options=options).start()
    node.stack.callback(server.kill)
    return server.url


def program(node: Node, name: str, script: str) -> None:
    """Something that stands in for systemd's own."""
    folder = node.directory / "bin"
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)
    node.environment["PATH"] = f"{folder}:{os.environ['PATH']}"


def answering(node: Node, status: int, body: bytes) -> int:
    """The port of a server that always says this."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = node.stack.enter_context(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    node.stack.callback(thread.join)
    node.stack.callback(server.shutdown)
    return server.server_port


def redis_name(node: Node) -> str:
    return '[memory]\nbackend_type = "redis"\nredis_url = "redis://redis.nowhere.invalid:6379"'


def redis_refused(node: Node) -> str:
    return f'[memory]\nbackend_type = "redis"\nredis_url = "redis://127.0.0.1:{closed_port()}"'


def redis_silent(node: Node) -> str:
    return f'[memory]\nbackend_type = "redis"\nredis_url = "redis://127.0.0.1:{silent(node)}"\ntimeout = 60'


def redis_password(node: Node) -> str:
    url = redis(node, "--requirepass", "quite-another-one-1")
    return f'[memory]\nbackend_type = "redis"\nredis_url = "{url}"\nredis_password = "wrong-password-22"'


def redis_no_password(node: Node) -> str:
    url = redis(node, "--requirepass", "quite-another-one-1")
    return f'[memory]\nbackend_type = "redis"\nredis_url = "{url}"'


def redis_evicts(node: Node) -> str:
    url = redis(node, "--appendonly", "yes", "--maxmemory-policy", "allkeys-lru")
    return f'[memory]\nbackend_type = "redis"\nredis_url = "{url}"'


def sentinel_away(node: Node) -> str:
    return f'[memory]\nbackend_type = "redis"\nredis_sentinels = ["127.0.0.1:{closed_port()}"]'


def postgres_away(node: Node) -> str:
    return f'[chain_engine]\ndatabase_url = "postgresql://ir@127.0.0.1:{closed_port()}/ir"'


def corrupt(name: str) -> Callable[[Node], str]:
    def build(node: Node) -> str:
        file = node.data / name
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(b"this is no database at all, " * 100)
        return "\n"

    return build


def closed_data(node: Node) -> str:
    (node.data / "chains.db").write_bytes(b"")
    closed(node, node.data)
    return "\n"


def closed(node: Node, place: Path) -> None:
    """Somebody else's alone, and asked about by a user to whom that matters, which it does not to root."""
    place.chmod(0o700 if place.is_dir() else 0o600)
    os.chown(place, NOBODY, NOBODY)
    node.prefix = [shutil.which("setpriv") or "setpriv", "--bounding-set", "-dac_override,-dac_read_search"]


def closed_database(node: Node) -> str:
    (node.data / "chains.db").write_bytes(b"")
    closed(node, node.data / "chains.db")
    return "\n"


def no_model(node: Node) -> str:
    node.options += ["--role", "RagManager"]
    return "\n"


def no_rerank_model(node: Node) -> str:
    node.options += ["--role", "RagManager"]
    return f'[rag]\nrerank_path = "{node.directory}"'


def broken_persona(node: Node) -> str:
    folder = node.data / "personas"
    folder.mkdir()
    (folder / "support.toml").write_text('title = "Support\nprompt = 1\n')
    return "\n"


def certificate(days: int) -> Callable[[Node], str]:
    def build(node: Node) -> str:
        file, key = Authority(node.directory).issue("Router", days=days)
        return f'[server.tls]\ncertificate = "{file}"\nkey = "{key}"'

    return build


def foreign_key(node: Node) -> str:
    authority = Authority(node.directory)
    (file, _), (_, other) = authority.issue("Router"), authority.issue("Router")
    return f'[server.tls]\ncertificate = "{file}"\nkey = "{other}"'


def no_certificate(node: Node) -> str:
    return f'[server.tls]\ncertificate = "{node.directory}/none.pem"\nkey = "{node.directory}/none.key"'


def peer_down(node: Node) -> str:
    return f'[ipc]\nrag_manager_endpoint = "http://127.0.0.1:{closed_port()}"'


def peer_name(node: Node) -> str:
    return '[ipc]\npersona_layer_endpoint = "http://personas.nowhere.invalid:8083"'


def peer_fails(node: Node) -> str:
    return f'[ipc]\nchain_engine_endpoint = "http://127.0.0.1:{answering(node, 500, b"{}")}"'


def provider_key(node: Node) -> str:
    port = answering(node, 401, b'{"error": {"message": "Incorrect API key provided"}}')
    return (
        f'[[model_registry.providers]]\nname = "house"\nkind = "openai_compatible"\n'
        f'endpoint = "http://127.0.0.1:{port}/v1"\napi_key = "sk-something-long-0001"'
    )


def provider_name(node: Node) -> str:
    return '[[model_registry.providers]]\nname = "house"\nkind = "openai_compatible"\nendpoint = "https://models.nowhere.invalid/v1"'


def no_variable(node: Node) -> str:
    return (
        '[ipc.security]\nenabled = true\ntoken = "${IPC_TOKEN}"\n[memory]\nbackend_type = "redis"\n'
        f'redis_url = "redis://127.0.0.1:{closed_port()}"'
    )


def bad_toml(node: Node) -> str:
    return "[server]\nhost = 127.0.0.1"


def no_file(node: Node) -> str:
    return ""


def placeholder(node: Node) -> str:
    return 'environment = "production"\n[ipc.security]\nenabled = true\ntoken = "your_secure_token_here"'


def port_taken(node: Node) -> str:
    port = node.stack.enter_context(serving())
    node.options += ["--role", "ChainEngine"]
    return f"[roles.chain_engine]\nport = {port}"


def log_folder(node: Node) -> str:
    return f'[telemetry]\nlog_file = "{node.directory}/logs/router/stderr.log"'


def log_closed(node: Node) -> str:
    folder = node.directory / "logs"
    folder.mkdir()
    closed(node, folder)
    folder.chmod(0o755)
    return f'[telemetry]\nlog_file = "{folder}/stderr.log"'


def unit_failed(node: Node) -> str:
    block = (
        "Id=intellirouter-router.service\nActiveState=failed\nSubState=failed\nNRestarts=5\nResult=exit-code"
    )
    program(node, "systemctl", f"cat <<'END'\n{block}\nEND")
    return "\n"


def failed_documents(node: Node) -> str:
    (node.data / "rag").mkdir()
    with contextlib.closing(sqlite3.connect(node.data / "rag/catalog.sqlite3")) as db:
        db.executescript(catalog.SCHEMA + catalog_jobs.SCHEMA)
        db.execute(
            "insert into collections (id, tenant, name, model, created) values ('c', 't', 'n', 'm', 0)"
        )
        db.execute("insert into documents values ('1', 'c', 'a', '', 0, 'failed', null, '{}', 0)")
        db.commit()
    return "\n"


ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
BREAKAGES: list[Any] = [
    # how it is broken, exit code, the finding, words of the cause, words of the remedy
    (redis_name, 2, "redis", ["redis.nowhere.invalid:6379", "cannot resolve the name"], ["redis_url"]),
    (redis_refused, 2, "redis", ["127.0.0.1:", "cannot connect (Connection refused)"], ["redis_url"]),
    (redis_silent, 2, "redis", ["127.0.0.1:", "does not answer within 3 s"], ["systemctl status redis"]),
    (redis_password, 2, "redis", ["refuses", "127.0.0.1:"], ["redis_password"]),
    (redis_no_password, 2, "redis", ["password", "127.0.0.1:"], ["redis_password"]),
    (redis_evicts, 1, "redis eviction", ["allkeys-lru"], ["noeviction"]),
    (sentinel_away, 2, "redis", ["127.0.0.1:", "Connection refused"], ["[memory]"]),
    (postgres_away, 2, "runs", ["Postgres at 127.0.0.1 does not answer"], ["database_url"]),
    (corrupt("rag/catalog.sqlite3"), 2, "documents", ["not a database"], ["restore"]),
    (corrupt("state.db"), 2, "embedded", ["not a database"], ["restore"]),
    (corrupt("chains.db"), 2, "runs", ["not a database"], ["restore"]),
    pytest.param(closed_data, 2, "data", ["may not be read by the user"], ["as root"], marks=ROOT_ONLY),
    pytest.param(closed_database, 2, "runs", ["chains.db"], ["as root"], marks=ROOT_ONLY),
    (no_model, 2, "embedding model", ["all-MiniLM-L6-v2 is not on this node"], ["models pull"]),
    (no_rerank_model, 2, "rerank model", ["does not hold model.onnx"], ["Put both files"]),
    (broken_persona, 2, "persona support.toml", ["support.toml", "is not TOML"], ["Correct the file"]),
    (certificate(20), 1, "certificate server.tls", ["is valid for 20 days"], ["Renew"]),
    (certificate(1), 2, "certificate server.tls", ["is valid for 1 days"], ["Renew it now"]),
    (certificate(-1), 2, "certificate server.tls", ["has expired"], ["Renew"]),
    (foreign_key, 2, "certificate server.tls", ["the key is not that of the certificate"], ["Put both"]),
    (no_certificate, 2, "certificate server.tls", ["none.pem", "No such file"], ["Correct the path"]),
    (peer_down, 2, "RagManager", ["cannot connect (Connection refused)"], ["Is it running"]),
    (peer_name, 2, "PersonaLayer", ["personas.nowhere.invalid", "cannot resolve"], ["Check the name"]),
    (peer_fails, 2, "ChainEngine", ["HTTP 500"], ["curl"]),
    (provider_key, 2, "provider house", ["refuses this key"], ["Replace api_key"]),
    (provider_name, 2, "provider house", ["models.nowhere.invalid", "cannot resolve"], ["Check the name"]),
    (no_variable, 2, "config", ["ipc.security.token: the environment has no IPC_TOKEN"], ["validate-config"]),
    (
        no_variable,
        2,
        "redis",
        ["Connection refused"],
        ["redis_url"],
    ),  # and the rest is looked at all the same
    (bad_toml, 2, "config", ["node.toml:2: is not TOML", "Text stands in quotes"], ["validate-config"]),
    (no_file, 2, "config", ["node.toml: cannot be read (No such file"], ["validate-config"]),
    (placeholder, 2, "config", ["ipc.security.token", "placeholder"], ["does not start"]),
    (port_taken, 2, "ChainEngine", ["is taken by", "not by IntelliRouter"], ["another port"]),
    (log_folder, 2, "log", ["no such directory"], ["install -d"]),
    pytest.param(log_closed, 2, "log", ["cannot be written"], ["chown"], marks=ROOT_ONLY),
    (unit_failed, 2, "intellirouter-router.service", ["failed", "exit-code"], ["journalctl -u"]),
    (failed_documents, 1, "documents", ["1 failed"], ["rag ls n --tenant t shows why"]),
]


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    with contextlib.ExitStack() as stack:
        yield Node(tmp_path, stack)


@pytest.mark.parametrize(("build", "code", "name", "cause", "remedy"), BREAKAGES)
def test_the_cause_and_the_remedy_are_named(
    node: Node, build: Callable[[Node], str], code: int, name: str, cause: list[str], remedy: list[str]
) -> None:
    returned, found, printed = diagnose(node, build(node))
    assert name in found, printed
    told = found[name]
    assert all(words in told["message"] for words in cause), told
    assert all(words in told["advice"] for words in remedy), told
    assert told["level"] == {1: "warning", 2: "problem"}[code]
    assert returned == code or (returned == 2 and code == 1 and "embedding model" in printed), printed
    assert "********" not in told["message"]


async def test_a_token_that_differs_between_nodes_is_found(tmp_path: Path) -> None:
    there = {
        "INTELLIROUTER__PATHS__DATA_DIR": str(tmp_path / "there"),
        "INTELLIROUTER__IPC__SECURITY__ENABLED": "true",
        "INTELLIROUTER__IPC__SECURITY__TOKEN": "a-token-that-stands-there-1",
    }
    async with node_process("--role", "PersonaLayer", "--port", "0", environment=there) as other:
        url = await other.url()
        for token, level in (
            ("quite-another-token-here-2", "problem"),
            ("a-token-that-stands-there-1", "ok"),
        ):
            with contextlib.ExitStack() as stack:
                node = Node(tmp_path, stack)
                config = f'[ipc]\npersona_layer_endpoint = "{url}"\n[ipc.security]\nenabled = true\ntoken = "{token}"'
                _, found, printed = diagnose(node, config)
            told = found["PersonaLayer"]
            if level == "problem":
                assert "refuses our calls" in told["message"], printed
                assert "same [ipc.security] token" in told["advice"]
            assert told["level"] in (level, "warning" if level == "ok" else level), printed
            assert token not in printed


def test_a_disk_that_is_nearly_full_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    usage = shutil.disk_usage(tmp_path)
    full = type(usage)(100 * 2**30, 99 * 2**30, 2**30)
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda _: full)
    (disk,) = [found for found in machine.system(tmp_path, None) if found.name == "disk"]
    assert disk.level.name == "PROBLEM"
    assert "1.0 of 100.0 GiB free" in disk.message
    assert "Make room" in disk.advice
