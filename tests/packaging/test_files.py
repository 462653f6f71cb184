"""Each file under packaging/ is read by the program it is for."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import aiohttp
import kubernetes_validate
import pytest
import trustme
import yaml

from intellirouter.config.load import load
from intellirouter.config.schema.settings import Settings
from tests.conftest import StartNode
from tests.servers.ports import free_port
from tests.servers.redis import redis_server

ROOT = Path(__file__).parents[2]
PACKAGING = ROOT / "packaging"
UNITS = sorted((PACKAGING / "systemd").glob("*.service"))
ROLES = {
    "router": "Router",
    "orchestrator": "ChainEngine",
    "rag-manager": "RagManager",
    "persona-layer": "PersonaLayer",
}


def tool(name: str) -> str:
    """The path of an installed program; absent, the test is skipped, except in CI."""
    path = shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/sbin")
    if path is None:
        if os.environ.get("CI"):
            pytest.fail(f"{name} is not installed")
        pytest.skip(f"{name} is not installed")
    return path


def run(*command: str | Path, cwd: Path | None = None) -> str:
    """Standard output and error of a command that must succeed."""
    done = subprocess.run(
        [str(word) for word in command],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        cwd=cwd,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    issued = trustme.CA().issue_cert("api.example.com")
    file = tmp_path / "intellirouter.pem"
    issued.private_key_and_cert_chain_pem.write_to_path(str(file))
    return file


SERVERS = [PACKAGING / "chroma" / "chroma.service", PACKAGING / "ollama" / "ollama.service"]


@pytest.mark.parametrize("unit", [*UNITS, *SERVERS], ids=lambda unit: unit.stem)
def test_systemd_accepts_a_unit_and_calls_it_well_protected(unit: Path, tmp_path: Path) -> None:
    analyze = tool("systemd-analyze")
    text = re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", unit.read_text(), flags=re.M)
    copy = tmp_path / unit.name.replace("@.", "@router.")
    copy.write_text(text)
    assert unit.name not in run(analyze, "verify", "--man=no", copy)
    security = run(analyze, "security", "--offline=true", "--threshold=30", "--no-pager", copy)
    assert re.search(r"Overall exposure level for .*: [012]\.\d", security), security


def test_systemd_accepts_the_timer_of_backups(tmp_path: Path) -> None:
    for kind in ("service", "timer"):
        text = (PACKAGING / f"systemd/intellirouter-backup@.{kind}").read_text()
        copy = tmp_path / f"intellirouter-backup@router.{kind}"
        copy.write_text(text.replace("/opt/intellirouter/bin/intellirouter ", "/bin/true "))
    assert "backup@" not in run(tool("systemd-analyze"), "verify", "--man=no", copy)


@pytest.mark.parametrize(("name", "role"), ROLES.items())
def test_a_unit_starts_its_role_with_its_files(name: str, role: str) -> None:
    text = (PACKAGING / "systemd" / f"intellirouter-{name}.service").read_text()
    start = f"/opt/intellirouter/bin/intellirouter run --role {role} --config /opt/intellirouter/config/{name}.toml"
    assert f"ExecStart={start}\n" in text
    assert f"EnvironmentFile=/opt/intellirouter/env/{name}.env\n" in text
    assert (PACKAGING / "env" / f"{name}.env").is_file()
    assert (ROOT / "config" / f"{name}.toml").is_file()


def test_the_units_are_protected_alike() -> None:
    protections = {
        re.sub(
            "ReadWritePaths=.*",
            "",
            unit.read_text().partition("NoNewPrivileges")[2].partition("[Install]")[0],
        ).strip()
        for unit in UNITS
    }
    assert len(protections) == 1


def test_logrotate_reads_its_file(tmp_path: Path) -> None:
    logs = tmp_path / "logs" / "router"
    logs.mkdir(parents=True)
    (logs / "stderr.log").write_text("a line\n")
    text = (PACKAGING / "logrotate" / "intellirouter").read_text()
    text = text.replace("/opt/intellirouter/logs", str(tmp_path / "logs"))
    owner = "root root" if os.getuid() == 0 else f"{os.getuid()} {os.getgid()}"
    file = tmp_path / "rotate"
    file.write_text(text.replace("intellirouter intellirouter", owner))
    file.chmod(0o644)
    told = run(tool("logrotate"), "-d", "-s", tmp_path / "status", file)
    assert "error" not in told
    assert "stderr.log" in told


def test_haproxy_accepts_its_file(tmp_path: Path, certificate: Path) -> None:
    text = (PACKAGING / "haproxy" / "haproxy.cfg").read_text()
    file = tmp_path / "haproxy.cfg"
    file.write_text(text.replace("/etc/ssl/intellirouter.pem", str(certificate)))
    run(tool("haproxy"), "-c", "-f", file)


def test_nginx_accepts_its_file(tmp_path: Path, certificate: Path) -> None:
    text = (PACKAGING / "nginx" / "intellirouter.conf").read_text()
    text = text.replace("/etc/ssl/intellirouter.pem", str(certificate))
    file = tmp_path / "nginx.conf"
    file.write_text(
        f"pid {tmp_path}/pid;\nerror_log stderr;\nevents {{}}\nhttp {{\naccess_log off;\n{text}}}\n"
    )
    run(tool("nginx"), "-t", "-p", tmp_path, "-c", file)


def test_nft_accepts_its_file() -> None:
    if os.getuid() != 0:
        pytest.skip("nft asks the kernel, which answers root only")
    run(tool("nft"), "-c", "-f", PACKAGING / "nftables" / "router.nft")


def test_promtool_accepts_the_scrape_file_and_the_alerts_fire_when_they_should() -> None:
    folder = PACKAGING / "prometheus"
    run(tool("promtool"), "check", "config", folder / "prometheus.yml")
    run(tool("promtool"), "test", "rules", folder / "alerts_test.yml")


async def test_the_dashboard_asks_what_prometheus_understands_and_nodes_export(
    tmp_path: Path, start_node: StartNode
) -> None:
    dashboard = json.loads((PACKAGING / "grafana" / "intellirouter.json").read_text())
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    assert len(asked) > 20
    for variable, value in (("$__rate_interval", "5m"), ("$instance", ".*"), ("$role", ".*")):
        asked = [expression.replace(variable, value) for expression in asked]
    rules = [{"record": f"dashboard:{number}", "expr": each} for number, each in enumerate(asked)]
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    run(tool("promtool"), "check", "rules", file)
    assert metrics(asked) <= await families(start_node)
    places = [panel["gridPos"] for panel in dashboard["panels"]]
    assert all(place["x"] + place["w"] <= 24 for place in places)


def metrics(expressions: list[str]) -> set[str]:
    """The metrics of ours that are asked for, as families."""
    names = r"\b((?:intellirouter|llm|circuit|redis|rag|memory|cpu|process)_[a-z_]+)\b(?![:=])"
    asked = {name for expression in expressions for name in re.findall(names, expression)}
    assert asked
    return {re.sub(r"_(total|bucket)$", "", name) for name in asked}


async def families(start_node: StartNode) -> set[str]:
    """What a node with every role exports."""
    # what is exported only when it is used
    used = '[cache]\nenabled = true\n[memory]\nbackend_type = "redis"\nredis_url = "redis://127.0.0.1:1"\n'
    node = await start_node(used, role="All")
    found = set()
    async with aiohttp.ClientSession() as http:
        for listening in node.listening:
            async with http.get(f"{listening.url}/metrics") as reply:
                found |= set(re.findall(r"^# TYPE (\S+?)(?:_total)? ", await reply.text(), re.M))
    return found


async def test_alerts_ask_only_for_metrics_that_are_exported(start_node: StartNode) -> None:
    rules = yaml.safe_load((PACKAGING / "prometheus" / "alerts.yml").read_text())["groups"][0]["rules"]
    assert metrics([rule["expr"] for rule in rules]) <= await families(start_node)


def test_shell_scripts_hold() -> None:
    run(tool("shellcheck"), PACKAGING / "install.sh")


CONTAINERS = {
    "router": "Router",
    "chain-engine": "ChainEngine",
    "rag-manager": "RagManager",
    "persona-layer": "PersonaLayer",
}
SECRETS = {
    "REDIS_PASSWORD": "r" * 32,
    "POSTGRES_PASSWORD": "p" * 32,
    "IPC_TOKEN": "i" * 32,
    "API_KEY_SHA256": hashlib.sha256(b"key").hexdigest(),
}


def kubernetes() -> list[dict[str, Any]]:
    """Every object that is applied."""
    folder = PACKAGING / "kubernetes"
    kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text())
    assert {*kustomization["resources"], "kustomization.yaml"} == {
        file.name for file in folder.glob("*.yaml")
    }
    return [
        document
        for name in kustomization["resources"]
        for document in yaml.safe_load_all((folder / name).read_text())
    ]


def test_kubernetes_objects_hold_to_its_schemas() -> None:
    found = kubernetes()
    for document in found:
        kubernetes_validate.validate(document, "1.30", strict=True)
    names = {(document["kind"], document["metadata"]["name"]) for document in found}
    assert {("Service", name) for name in (*CONTAINERS, "chroma")} <= names
    assert {"Ingress", "HorizontalPodAutoscaler", "PodDisruptionBudget", "NetworkPolicy"} <= {
        kind for kind, _ in names
    }


def test_kubernetes_roles_find_one_another() -> None:
    found = kubernetes()
    (common,) = (document["data"] for document in found if document["kind"] == "ConfigMap")
    pods = {
        document["metadata"]["name"]: document["spec"]["template"]
        for document in found
        if document["kind"] in ("Deployment", "StatefulSet")
    }
    ports = {
        document["metadata"]["name"]: document["spec"]["ports"][0]["port"]
        for document in found
        if document["kind"] == "Service"
    }
    for name, role in CONTAINERS.items():
        (container,) = pods[name]["spec"]["containers"]
        assert container["args"] == ["run", "--role", role]
        assert [each[kind]["name"] for each in container["envFrom"] for kind in each] == ["intellirouter"] * 2
        assert pods[name]["metadata"]["labels"]["app.kubernetes.io/name"] == name
        assert container["ports"][0]["containerPort"] == ports[name]
    common |= {"INTELLIROUTER__IPC__SECURITY__TOKEN": "t" * 32}
    reached(common, ports)
    (rag,) = (
        document
        for document in found
        if document["metadata"]["name"] == "rag-manager" and document["kind"] == "StatefulSet"
    )
    own, named = pods["rag-manager"]["spec"]["containers"][0]["env"]
    assert own["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.name"}}
    pods_of = [f"rag-manager-{number}" for number in range(rag["spec"]["replicas"])]
    for name in pods_of:
        section = load(None, common | {own["name"]: name, named["name"]: named["value"]}).settings.rag
        assert section.node == name
        service = rag["spec"]["serviceName"]
        assert section.nodes == {each: f"http://{each}.{service}:{ports[service]}" for each in pods_of}


def reached(environment: dict[str, str], ports: dict[str, int]) -> Settings:
    """The settings that an environment makes, whose every address is a service of that name and port."""
    settings = load(None, environment).settings
    ipc = settings.ipc
    addresses = [
        ipc.router_endpoint,
        ipc.chain_engine_endpoint,
        ipc.rag_manager_endpoint,
        ipc.persona_layer_endpoint,
    ]
    assert addresses == [f"http://{name}:{ports[name]}" for name in CONTAINERS]
    assert ipc.security.token is not None
    return settings


def compose() -> dict[str, Any]:
    """The services, with the values of `.env`."""
    text = (PACKAGING / "docker" / "compose.yaml").read_text()
    text = re.sub(r"(?<!\$)\$\{(\w+):\?[^}]*\}", lambda found: SECRETS[found[1]], text)
    text = re.sub(r"(?<!\$)\$\{\w+:-([^}]*)\}", r"\1", text)
    services: dict[str, Any] = yaml.safe_load(text)["services"]
    return services


def test_compose_starts_every_role_with_what_it_needs() -> None:
    services = compose()
    assert services.keys() == {*CONTAINERS, "redis", "postgres", "chroma"}
    ports = {name: int(services[name]["environment"]["INTELLIROUTER__SERVER__PORT"]) for name in CONTAINERS}
    for name, role in CONTAINERS.items():
        service = services[name]
        assert service["command"] == ["run", "--role", role]
        assert service["ports"] == [f"127.0.0.1:{ports[name]}:{ports[name]}"]
        assert set(service["depends_on"]) <= services.keys()
        settings = reached(service["environment"], ports)
        assert settings.memory.redis_url.get_secret_value() == "redis://redis:6379"
        assert settings.auth.enabled
        if name == "rag-manager":
            assert settings.rag.vector_db_url == "http://chroma:8000"
        if name == "chain-engine":
            url = settings.chain_engine.database_url
            assert url is not None
            assert url.get_secret_value().endswith("@postgres:5432/intellirouter")


def test_compose_builds_from_a_dockerfile_that_is_there() -> None:
    build = compose()["router"]["build"]
    context = (PACKAGING / "docker" / build["context"]).resolve()
    assert context == ROOT
    dockerfile = (context / build["dockerfile"]).read_text()
    for copied in re.findall(r"^COPY (?!--)(.+) \S+$", dockerfile, re.MULTILINE):
        for name in copied.split():
            assert (context / name).exists(), name


@pytest.mark.skipif(platform.machine() != "x86_64", reason="hadolint has no package for this machine")
def test_the_dockerfile_holds_to_its_linter() -> None:
    run(tool("hadolint"), "--failure-threshold", "info", PACKAGING / "docker" / "Dockerfile")


def test_sentinel_watches_with_its_file(tmp_path: Path) -> None:
    with redis_server(tmp_path / "redis") as redis:
        text = (PACKAGING / "redis" / "sentinel.conf").read_text().replace("/var/lib/redis", str(tmp_path))
        port = free_port()
        file = tmp_path / "sentinel.conf"
        file.write_text(
            text.replace("10.0.0.10 6379 2", f"127.0.0.1 {redis.port} 2").replace(
                "port 26379", f"port {port}"
            )
        )
        watcher = subprocess.Popen([tool("redis-server"), str(file), "--sentinel"], stdout=subprocess.DEVNULL)
        ask = ("-p", str(port), "sentinel", "master", "mymaster")
        try:
            deadline = time.monotonic() + 60
            while (told := run_anyway(tool("redis-cli"), *ask)).count("\n") < 10:
                assert time.monotonic() < deadline, told
                time.sleep(0.02)
        finally:
            watcher.terminate()
            watcher.wait(60)
    facts = dict(zip(*[iter(told.splitlines())] * 2, strict=False))
    assert (facts["port"], facts["quorum"], facts["down-after-milliseconds"]) == (
        str(redis.port),
        "2",
        "5000",
    )


def run_anyway(*command: str) -> str:
    """What a command prints that may not succeed yet."""
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False).stdout


def test_redis_starts_with_its_file(tmp_path: Path) -> None:
    text = (PACKAGING / "redis" / "redis.conf").read_text()
    file = tmp_path / "redis.conf"
    socket = tmp_path / "redis.sock"
    file.write_text(
        f"{text.replace('/var/lib/redis', str(tmp_path))}\nport 0\nunixsocket {socket}\nlogfile ''\n"
    )
    server = subprocess.Popen([tool("redis-server"), str(file)], stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while not socket.exists() and time.monotonic() < deadline and server.poll() is None:
            time.sleep(0.01)
        told = run(tool("redis-cli"), "-s", socket, "config", "get", "maxmemory-policy")
        assert told.split() == ["maxmemory-policy", "noeviction"]
        assert run(tool("redis-cli"), "-s", socket, "config", "get", "appendonly").split()[1] == "yes"
    finally:
        server.terminate()
        server.wait(60)
