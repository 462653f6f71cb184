"""`intellirouter diagnose`, as an operator calls it."""

from __future__ import annotations

import http.server
import json
import os
import socket
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.servers.dnsmasq import dnsmasq
from tests.servers.redis import RedisServer
from tests.servers.warm.process import warm_command

PLANTED = {
    "file": "planted-file-secret-1",
    "env": "planted-env-secret-2",
    "header": "planted-header-secret-3",
    "redis": "planted/redis?secret-4",
    "token": "planted-token-5",
    "logged": "sk-plantedlogged0000000006",
}


def diagnose(
    directory: Path, config: str, *options: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    """The command on a configuration, with nothing of this machine's environment."""
    file = directory / "node.toml"
    file.write_text(f"{config}\n[paths]\ndata_dir = '{directory / 'data'}'\n")
    file.chmod(0o600)
    return subprocess.run(
        [*warm_command(), "diagnose", "--config", str(file), *options],
        capture_output=True,
        text=True,
        timeout=60,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(Path.cwd()),
            "HOME": str(directory),
            # what listens on this machine's customary ports is nobody's here
            "INTELLIROUTER__SERVER__PORT": "1",
            **{
                f"INTELLIROUTER__ROLES__{role}__PORT": str(port)
                for port, role in enumerate(("CHAIN_ENGINE", "RAG_MANAGER", "PERSONA_LAYER"), 2)
            },
            **environment,
        },
        check=False,
    )


class Well(http.server.BaseHTTPRequestHandler):
    """Says that all is well."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.body)

    body = b""


class RagManager(Well):
    """Says that it is one."""

    body = b'{"status": "alive", "role": "RagManager"}'


@contextmanager
def serving(says: type[Well] = Well) -> Iterator[int]:
    """The port of something that answers over HTTP."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), says) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def findings(done: subprocess.CompletedProcess[str]) -> dict[str, dict[str, str]]:
    assert done.stdout, done.stderr
    return {found["name"]: found for found in json.loads(done.stdout)["findings"]}


def test_a_node_that_has_not_run_is_told_so_and_nothing_is_made(tmp_path: Path) -> None:
    done = diagnose(tmp_path, "", "--json")
    assert "has not run" in findings(done)["embedded"]["message"]
    assert not (tmp_path / "data").exists()
    assert done.returncode in {0, 1}  # a busy machine is a warning


def test_a_configuration_that_does_not_hold_is_a_problem_with_its_line(tmp_path: Path) -> None:
    done = diagnose(tmp_path, "[server]\nprot = 1", "--json")
    assert done.returncode == 2
    assert "node.toml:2" in findings(done)["config"]["message"]


def test_everything_that_hangs_is_named_and_does_not_hold_up_the_rest(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, socket.create_server(("127.0.0.1", 0)) as gone:
        port, dead = silent.getsockname()[1], gone.getsockname()[1]
        gone.close()
        config = f"""
[memory]
backend_type = "redis"
redis_url = "redis://127.0.0.1:{port}"
timeout = 60
[ipc]
router_endpoint = "http://127.0.0.1:{port}"
chain_engine_endpoint = "http://127.0.0.1:{dead}"
[[model_registry.providers]]
name = "house"
kind = "openai_compatible"
endpoint = "https://127.0.0.1:{port}"
"""
        done = diagnose(tmp_path, config, "--json", "--timeout", "2")
    assert done.returncode == 2
    found = findings(done)
    assert "did not answer within 2 s" in found["Router"]["message"]
    assert "cannot connect" in found["ChainEngine"]["message"]
    assert "did not agree on TLS within 2 s" in found["provider house"]["message"]
    assert "does not answer within 2 s" in found["redis"]["message"]
    assert all(item["advice"] for item in found.values() if item["level"] == "problem")


def test_an_endpoint_in_dns_is_looked_up_and_each_of_its_servers_is_asked(tmp_path: Path) -> None:
    with (
        dnsmasq() as names,
        serving(RagManager) as up,
        socket.create_server(("127.0.0.1", 0)) as gone,
    ):
        dead = gone.getsockname()[1]
        gone.close()
        names.serve(
            ("_rag._tcp.test", "localhost", up, 1, 1),
            ("_rag._tcp.test", "localhost", dead, 2, 1),
            ("_chains._tcp.test", "localhost", dead, 1, 1),
        )
        config = f"""
[ipc]
discovery = "dns"
dns_server = "{names.address}"
rag_manager_endpoint = "http://_rag._tcp.test"
chain_engine_endpoint = "http://_chains._tcp.test"
persona_layer_endpoint = "http://_nobody._tcp.test"
"""
        found = findings(diagnose(tmp_path, config, "--json"))
    assert found[f"RagManager localhost:{up}"]["level"] == "ok"
    assert found[f"RagManager localhost:{dead}"]["level"] == "warning"  # the other one answers
    assert found[f"ChainEngine localhost:{dead}"]["level"] == "problem"
    assert "lists no server" in found["PersonaLayer"]["message"]


@pytest.mark.parametrize(
    ("options", "level"),
    [(("--appendonly", "no"), "warning"), (("--appendonly", "yes"), "ok")],
    ids=["no-aof", "aof"],
)
def test_redis_is_asked_whether_it_keeps_what_it_acknowledged(
    tmp_path: Path, options: tuple[str, ...], level: str
) -> None:
    server = RedisServer(tmp_path / "redis", options=options).start()
    try:
        done = diagnose(tmp_path, f'[memory]\nbackend_type = "redis"\nredis_url = "{server.url}"', "--json")
    finally:
        server.kill()
    found = findings(done)
    assert found["redis"]["level"] == "ok"
    assert found["redis eviction"]["message"] == "noeviction"
    assert found["redis persistence"]["level"] == level


def test_no_planted_secret_leaves(tmp_path: Path) -> None:
    log = tmp_path / "node.log"
    told = {"level": "error", "event": f"failed {PLANTED['logged']}", "note": PLANTED["env"]}
    lines = [json.dumps(told), f"Authorization: Bearer {PLANTED['header']}", f"x={PLANTED['file']}"]
    log.write_text("\n".join(lines) + "\n")
    config = f"""
[telemetry]
log_file = "{log}"
[memory]
backend_type = "redis"
redis_url = "redis://someone:{PLANTED["redis"].replace("/", "%2F").replace("?", "%3F")}@127.0.0.1:1"
[ipc]
router_endpoint = "http://me:{PLANTED["token"]}@127.0.0.1:1"
[ipc.security]
token = "{PLANTED["token"]}"
[[model_registry.providers]]
name = "house"
kind = "openai_compatible"
endpoint = "http://127.0.0.1:1"
api_key = "{PLANTED["file"]}"
headers = {{ x-key = "{PLANTED["header"]}" }}
options = {{ secret_thing = "planted-option-7" }}
"""
    bundle = tmp_path / "bundle.tar.gz"
    done = diagnose(tmp_path, config, "--bundle", str(bundle), OPENAI_API_KEY=PLANTED["env"])
    assert done.returncode == 2
    assert bundle.stat().st_mode & 0o077 == 0
    with tarfile.open(bundle) as archive:
        files = {entry.name: archive.extractfile(entry) for entry in archive}
        everything = done.stdout + done.stderr
        for stream in files.values():
            assert stream is not None
            everything += stream.read().decode()
    assert set(files) == {
        f"intellirouter-diagnose/{name}" for name in ("report.json", "log.txt", "config.json")
    }
    for secret in (*PLANTED.values(), "planted%2Fredis", "planted-option-7"):
        assert secret not in everything
    assert "model_registry.providers[0].endpoint" in everything


def test_the_log_is_searched_for_errors(tmp_path: Path) -> None:
    log = tmp_path / "node.log"
    record = {"level": "error", "event": "server.request_failed"}
    log.write_text((json.dumps(record) + "\n") * 3 + json.dumps({"level": "info", "event": "other"}) + "\n")
    done = diagnose(tmp_path, f'[telemetry]\nlog_file = "{log}"', "--json")
    assert "server.request_failed (3)" in findings(done)["errors"]["message"]
    assert done.returncode == 1
