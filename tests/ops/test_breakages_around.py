"""More nodes that are broken in one way each, by what stands around them: rights at Redis, files, certificates, providers, units, names."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from tests.ops.test_breakages import (
    NOBODY,
    ROOT_ONLY,
    Node,
    answering,
    closed_port,
    diagnose,
    foreign_key,
    program,
    provider_name,
    redis,
    silent,
)
from tests.servers.certificates import Authority

ADVISED = ("~intellirouter:*", "&intellirouter:*", "+@read", "+@write", "+@scripting", "+@pubsub")
ADVISED += ("+@connection", "+time", "+info")


def redis_user(*rights: str) -> Callable[[Node], str]:
    """A Redis whose user has these rights."""

    def build(node: Node) -> str:
        url = redis(node)
        with contextlib.closing(Redis.from_url(url)) as client:
            client.execute_command("ACL", "SETUSER", "ours", "on", ">a-password-of-ours-1", *rights)  # type: ignore[no-untyped-call]
        url = url.replace("redis://", "redis://ours:a-password-of-ours-1@")
        return f'[memory]\nbackend_type = "redis"\nredis_url = "{url}"'

    return build


def redis_full(node: Node) -> str:
    url = redis(node, "--maxmemory", "1500000")
    with contextlib.closing(Redis.from_url(url)) as client:
        client.config_set("maxmemory", 1000)
    return f'[memory]\nbackend_type = "redis"\nredis_url = "{url}"'


def redis_crowded(node: Node) -> str:
    url = redis(node, "--maxclients", "2")
    for _ in range(2):
        client = node.stack.enter_context(contextlib.closing(Redis.from_url(url)))
        client.ping()
    return f'[memory]\nbackend_type = "redis"\nredis_url = "{url}"'


def data_link(node: Node) -> str:
    (node.directory / "data").symlink_to(node.directory / "disk-that-is-not-mounted")
    return "\n"


def data_file(node: Node) -> str:
    (node.directory / "data").write_text("")
    return "\n"


def empty_state(node: Node) -> str:
    (node.data / "state.db").write_bytes(b"")
    return "\n"


def held_state(node: Node) -> str:
    database = sqlite3.connect(node.data / "state.db", isolation_level=None)
    node.stack.callback(database.close)
    database.execute("create table entry (key)")
    database.execute("begin exclusive")
    return "\n"


def foreign_state(node: Node) -> str:
    with contextlib.closing(sqlite3.connect(node.data / "state.db")) as database:
        database.execute("create table customers (name)")
    return "\n"


def folder_for_a_file(node: Node) -> str:
    (node.data / "chains.db").mkdir()
    return "\n"


def no_inodes(node: Node) -> str:
    fill = "i=0; while [ $i -lt 60 ]; do touch $0/$i; i=$((i+1)); done 2>/dev/null"
    script = f'mount -t tmpfs -o size=10m,nr_inodes=50 none $0 && {{ {fill}; exec "$@"; }}'
    node.prefix = ["unshare", "-m", "sh", "-c", script, str(node.data)]
    return "\n"


def _tls(certificate: object, key: object) -> str:
    return f'[server.tls]\ncertificate = "{certificate}"\nkey = "{key}"'


def swapped(node: Node) -> str:
    certificate, key = Authority(node.directory).issue("Router")
    return _tls(key, certificate)


def emptied(node: Node) -> str:
    certificate, key = Authority(node.directory).issue("Router")
    Path(certificate).write_bytes(b"")
    return _tls(certificate, key)


def locked_key(node: Node) -> str:
    certificate, key = Authority(node.directory).issue("Router")
    words = ["openssl", "pkey", "-in", str(key), "-aes256", "-passout", "pass:one", "-out", f"{key}.locked"]
    subprocess.run(words, check=True)
    return _tls(certificate, f"{key}.locked")


def no_authority(node: Node) -> str:
    certificate, key = Authority(node.directory).issue("Router")
    return f'[ipc.security]\nenabled = true\nca = "{node.directory}/none.pem"\ncertificate = "{certificate}"\nkey = "{key}"'


def _provider(port: int, scheme: str = "http", path: str = "/v1") -> str:
    return f'[[model_registry.providers]]\nname = "house"\nkind = "openai_compatible"\nendpoint = "{scheme}://127.0.0.1:{port}{path}"\n'


def provider(status: int, body: bytes, path: str = "/v1") -> Callable[[Node], str]:
    return lambda node: _provider(answering(node, status, body), path=path)


def provider_silent(node: Node) -> str:
    return _provider(silent(node))


def provider_plain(node: Node) -> str:
    return _provider(answering(node, 200, b"{}"), "https")


def provider_behind_a_proxy(node: Node) -> str:
    node.environment["HTTPS_PROXY"] = "http://proxy.corp.example:3128"
    return provider_name(node)


def misnamed_target(node: Node) -> str:
    listed = b'{"object": "list", "data": [{"id": "qwen3-32b"}, {"id": "llama-4:latest"}]}'
    models = '[[model_registry.models]]\nname = "smart"\ntargets = ["house/qwen3-23b", "house/llama-4"]\n'
    return _provider(answering(node, 200, listed)) + models


def host(name: str) -> Callable[[Node], str]:
    return lambda node: f'[server]\nhost = "{name}"\n'


def inbox(node: Node) -> str:
    return f'[chain_engine.folders.inbox]\npath = "{node.directory}/not-mounted"\n'


def centre(node: Node) -> str:
    where = f'url = "http://127.0.0.1:{closed_port()}"\nname = "shop"\ntoken = "${{EDGE}}"\n'
    node.environment["EDGE"] = os.urandom(16).hex()
    return f'[chain_engine]\nmode = "hybrid"\n[chain_engine.centre]\n{where}'


def backups(node: Node) -> str:
    (node.directory / "disk").write_text("")
    return f'[backup]\nschedule = "1 1 * * *"\nto = "{node.directory}/disk/backups"\n'


def unit(*facts: str) -> Callable[[Node], str]:
    def build(node: Node) -> str:
        block = "\n".join(("Id=intellirouter-router.service", *facts))
        program(node, "systemctl", f"cat <<'END'\n{block}\nEND")
        return "\n"

    return build


def variable(name: str) -> Callable[[Node], str]:
    def build(node: Node) -> str:
        node.environment[name] = "redis"
        return "\n"

    return build


def unreadable_file(node: Node) -> str:
    file = node.directory / "node.toml"
    file.write_text("\n")
    file.chmod(0o600)
    os.chown(file, NOBODY, NOBODY)
    node.prefix = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"]
    return ""


UNIT, FAILED = "intellirouter-router.service", ("ActiveState=failed", "SubState=failed", "NRestarts=5")
RUNS = ("ActiveState=active", "SubState=running", "NRestarts=0", "Result=success")
BREAKAGES: list[Any] = [
    # how it is broken, exit code, the finding, words of the cause, words of the remedy
    (redis_user("~theirs:*", "&*", "+@all"), 2, "redis permissions", ["access one of the keys"], ["acl setuser ours", "~intellirouter:*"]),
    (redis_user("~*", "&*", "+@read", "+ping", "+info"), 2, "redis permissions", ["'eval'", "'psubscribe'"], ["+@scripting"]),
    (redis_user("~*", "resetchannels", "+@all"), 2, "redis permissions", ["channels"], ["&intellirouter:*"]),
    (redis_full, 2, "redis memory", ["is full", "used"], ["maxmemory"]),
    (redis_crowded, 2, "redis", ["max number of clients"], ["client list", "maxclients"]),
    (data_link, 2, "data", ["is a link to", "disk-that-is-not-mounted"], ["mounted"]),
    (data_file, 2, "data", ["is no directory"], ["data_dir"]),
    (empty_state, 1, "embedded", ["state.db is empty"], ["begins it anew", "backup"]),
    (held_state, 2, "embedded", ["held by another program"], ["fuser -v"]),
    (foreign_state, 2, "embedded", ["not one of IntelliRouter's"], ["Move it away"]),
    (folder_for_a_file, 2, "runs", ["chains.db", "is no file"], ["Move it away"]),
    pytest.param(no_inodes, 2, "inodes", ["0 more files may be made"], ["du --inodes"], marks=ROOT_ONLY),
    (swapped, 2, "certificate server.tls", ["cannot be used"], ["the wrong way round"]),
    (emptied, 2, "certificate server.tls", ["cannot be used"], ["holds no certificate"]),
    (locked_key, 2, "certificate server.tls", ["cannot be used"], ["locked by a passphrase"]),
    (foreign_key, 2, "certificate server.tls", ["not that of the certificate"], ["Put both"]),
    (no_authority, 2, "authority ipc.security.ca", ["none.pem", "No such file"], ["Correct the path"]),
    (provider(200, b"<html>Sign in</html>"), 1, "provider house", ["not JSON"], ["sign-in page"]),
    (provider(404, b"", ""), 1, "provider house", ["404"], ["/v1?"]),
    (provider(301, b""), 2, "provider house", ["redirect"], ["endpoint to where it leads"]),
    (provider(407, b""), 2, "provider house", ["407"], ["proxy stands between"]),
    (provider(503, b""), 2, "provider house", ["503"], ["its own log"]),
    (provider_silent, 2, "provider house", ["no response within 3 s"], ["does not answer"]),
    (provider_plain, 2, "provider house", ["does not speak TLS"], ["without the s"]),
    (provider_behind_a_proxy, 2, "provider house", ["cannot resolve"], ["asked without one"]),
    (misnamed_target, 1, "provider house", ["does not list qwen3-23b"], ["Did you mean house/qwen3-32b?"]),
    (host("203.0.113.7"), 2, "Router", ["no address of this machine"], ["[server] host"]),
    (host("node7.nowhere.invalid"), 2, "Router", ["name cannot be resolved"], ["[server] host"]),
    (inbox, 2, "chain_engine.folders.inbox", ["not-mounted is not there"], ["mount it"]),
    (centre, 2, "centre", ["Connection refused"], ["Is it running there"]),
    (backups, 2, "backup", ["no backup can be made", "is no directory"], ["[backup] to"]),
    (unit(*RUNS, "NeedDaemonReload=yes"), 1, f"{UNIT} file", ["the old one is in force"], ["daemon-reload"]),
    (unit(*RUNS, "MemoryCurrent=990000000", "MemoryMax=1000000000"), 1, f"{UNIT} memory", ["MemoryMax"], ["Raise it"]),
    (unit(*FAILED, "Result=oom-kill"), 2, UNIT, ["oom-kill"], ["want of memory", "journalctl"]),
    (unit(*FAILED, "Result=start-limit-hit"), 2, UNIT, ["start-limit-hit"], [f"reset-failed {UNIT}"]),
    (variable("INTELLIROUTER__MEMROY__BACKEND_TYPE"), 2, "config", ["INTELLIROUTER__MEMROY__BACKEND_TYPE in the environment", "Did you mean 'memory'?"], ["validate-config"]),
    (variable("intellirouter__memory__backend_type"), 1, "config", ["capitals count", "INTELLIROUTER__MEMORY__BACKEND_TYPE"], ["validate-config"]),
    pytest.param(unreadable_file, 2, "config", ["cannot be read (Permission denied)"], ["validate-config"], marks=ROOT_ONLY),
]  # fmt: skip


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
    assert returned == code, printed


def test_a_redis_user_with_the_rights_that_are_advised_is_well_and_nothing_is_left_there(node: Node) -> None:
    config = redis_user(*ADVISED)(node)
    _, found, printed = diagnose(node, config)
    assert found["redis"]["level"] == "ok", printed
    assert "redis permissions" not in found
    url = config.rpartition('redis_url = "')[2].strip('"')
    with contextlib.closing(Redis.from_url(url)) as client:
        assert list(client.scan_iter("*")) == []


def test_a_file_that_notepad_wrote_is_read(node: Node) -> None:
    (node.directory / "node.toml").write_bytes(b'\xef\xbb\xbf[memory]\nbackend_type = "embedded"\n')
    _, found, printed = diagnose(node, "")
    assert found["config"]["level"] == "ok", printed
