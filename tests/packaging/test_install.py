"""What install.sh puts there and takes away, by its own functions in a tree of the test."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

PACKAGING = Path(__file__).parents[2] / "packaging"
SCRIPT = PACKAGING / "install.sh"
TOKEN = "INTELLIROUTER__IPC__SECURITY__TOKEN"


def functions(*names: str) -> str:
    """Their text."""
    text = SCRIPT.read_text()
    return "\n".join(re.search(rf"^{name}\(\) .*?^}}", text, re.M | re.S)[0] for name in names)  # type: ignore[index]


def shell(script: str, path: Path | None = None) -> str:
    search = f"{path}:{os.environ['PATH']}" if path else os.environ["PATH"]
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"PATH": search},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def fresh(base: Path) -> list[Path]:
    """The environment files of a fresh installation."""
    (base / "env").mkdir(parents=True)
    files = []
    for file in sorted((PACKAGING / "env").glob("*.env")):
        files.append(base / "env" / file.name)
        files[-1].write_text(file.read_text())
    return files


def tokens(files: list[Path]) -> set[str]:
    return {
        line.partition("=")[2]
        for file in files
        for line in file.read_text().splitlines()
        if line.startswith(TOKEN)
    }


def test_a_fresh_node_gets_a_token_of_its_own_and_keeps_it(tmp_path: Path) -> None:
    share = f"base={tmp_path}; {functions('share_token')}; share_token"
    files = fresh(tmp_path)
    assert "wrote a token" in shell(share)
    (token,) = tokens(files)
    assert re.fullmatch(r"[0-9a-f]{64}", token)
    assert shell(share) == ""
    assert tokens(files) == {token}
    # a role that is added later gets the one that is there; one that the operator set stays
    files[0].write_text((PACKAGING / "env" / files[0].name).read_text())
    shell(share)
    assert tokens(files) == {token}
    other = fresh(tmp_path / "other")
    assert tokens(other) == set()
    shell(f"base={tmp_path / 'other'}; {functions('share_token')}; share_token")
    assert tokens(other) not in ({token}, set())


UNITS = (
    "intellirouter-router.service",
    "intellirouter@router2.service",
    "intellirouter-backup@router.timer",
    "intellirouter-backup-full@router.timer",
    "intellirouter-backup-offsite@router2.timer",
)


@pytest.mark.parametrize("purge", ["yes", "no"])
def test_nothing_of_it_runs_or_starts_after_it_was_removed(tmp_path: Path, purge: str) -> None:
    root, bin_ = tmp_path / "root", tmp_path / "bin"
    system = root / "etc/systemd/system"
    base = root / "opt/intellirouter"
    for folder in (
        system / "multi-user.target.wants",
        system / "timers.target.wants",
        base / "config",
        base / "venv",
        bin_,
    ):
        folder.mkdir(parents=True)
    for unit in UNITS:
        template = re.sub(r"@[^.]+", "@", unit)
        (system / template).write_text("[Unit]\n")
        wants = "timers" if unit.endswith(".timer") else "multi-user"
        (system / f"{wants}.target.wants" / unit).symlink_to(system / template)
    over = system / "intellirouter@router2.service.d"
    over.mkdir()
    (over / "override.conf").write_text("[Service]\n")
    (system / "somebody-else.service").write_text("[Unit]\n")
    (system / "multi-user.target.wants/somebody-else.service").symlink_to(system / "somebody-else.service")
    log = tmp_path / "asked"
    listed = "\\n".join(f"{unit} loaded active" for unit in UNITS)
    (bin_ / "systemctl").write_text(
        f'#!/bin/sh\necho "$@" >> {log}\n[ "$1" = list-units ] && printf "{listed}\\n"\n'
        '[ "$1" = list-unit-files ] && echo "intellirouter@.service enabled"\nexit 0\n'
    )
    (bin_ / "systemctl").chmod(0o755)
    names = functions("our_units", "uninstall")
    shell(
        f"units=(router); root={root}; base={base}; purge={purge}; fail() {{ exit 1; }}; running() {{ true; }}\n{names}\nuninstall",
        bin_,
    )
    asked = log.read_text().splitlines()
    assert {f"disable --now {unit}" for unit in UNITS} <= set(asked)
    assert not any("@.service" in line for line in asked if line.startswith("disable"))
    left = {path.name for path in root.rglob("*") if path.is_symlink() or path.is_file()}
    assert left == {"somebody-else.service"}
    assert base.exists() == (purge == "no")


def test_only_the_router_is_told_the_keys_of_providers() -> None:
    services = yaml.safe_load((PACKAGING / "docker/compose.yaml").read_text())["services"]
    for name, service in services.items():
        told = service.get("environment", {})
        assert ("OPENAI_API_KEY" in told) == (name == "router")
        assert "env_file" not in service
        assert any("POSTGRES_PASSWORD" in str(value) for value in told.values()) == (
            name in ("chain-engine", "postgres")
        )


def test_kubernetes_serves_nobody_without_a_key_and_lets_no_stranger_in() -> None:
    found = [
        document
        for file in sorted((PACKAGING / "kubernetes").glob("*.yaml"))
        for document in yaml.safe_load_all(file.read_text())
    ]
    (common,) = (document["data"] for document in found if document["kind"] == "ConfigMap")
    assert common["INTELLIROUTER__AUTH__ENABLED"] == "true"
    policies = [document["spec"] for document in found if document["kind"] == "NetworkPolicy"]
    assert {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]} in policies
    for policy in policies:
        for rule in policy.get("ingress", ()):
            assert rule["from"], "a rule without from lets everybody in"
    (ingress,) = (document["spec"] for document in found if document["kind"] == "Ingress")
    paths = {path["path"] for rule in ingress["rules"] for path in rule["http"]["paths"]}
    assert paths == {"/v1", "/v1beta", "/api"}
    for document in found:
        if document["kind"] in ("Deployment", "StatefulSet"):
            text = str(document)
            assert ("OPENAI_API_KEY" in text) == (document["metadata"]["name"] == "router")
            assert ("database_url" in text) == (document["metadata"]["name"] == "chain-engine")


async def test_the_kubernetes_settings_answer_nobody_without_a_key(start_node, http) -> None:  # type: ignore[no-untyped-def]
    (common,) = (
        document["data"]
        for document in yaml.safe_load_all((PACKAGING / "kubernetes/namespace.yaml").read_text())
        if document["kind"] == "ConfigMap"
    )
    environment = {
        **common,
        TOKEN: "f3c1a9d07b52e8641f0c",
        "INTELLIROUTER__MEMORY__REDIS_URL": "redis://127.0.0.1:1",
        "INTELLIROUTER__SERVER__HOST": "127.0.0.1",
    }
    node = await start_node(environment=environment)
    for path in ("/v1/models", "/v1beta/models", "/api/tags", "/admin/keys"):
        async with http.get(f"{node.listening[0].url}{path}") as reply:
            assert reply.status == 401, path


@pytest.mark.parametrize("kind", ["", "-full", "-offsite"])
def test_each_timer_has_its_service_and_its_rhythm(kind: str) -> None:
    timer = (PACKAGING / f"systemd/intellirouter-backup{kind}@.timer").read_text()
    service = (PACKAGING / f"systemd/intellirouter-backup{kind}@.service").read_text()
    rhythm = {"": "daily", "-full": "weekly", "-offsite": "monthly"}[kind]
    assert f"OnCalendar={rhythm}\n" in timer
    assert "Persistent=yes" in timer
    assert ("--incremental" in service) == (kind == "")


def test_instances_of_a_role_share_no_file() -> None:
    unit = (PACKAGING / "systemd/intellirouter@.service").read_text()
    assert "LOG_FILE=/opt/intellirouter/logs/%i/stderr.log" in unit
    assert "DATA_DIR=/opt/intellirouter/data/%i" in unit
    for file in (PACKAGING / "env").glob("*.env"):
        assert (
            "LOG_FILE" not in file.read_text()
        )  # it would be copied with the rest, and hold before the unit's
