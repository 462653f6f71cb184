"""The chart, rendered by helm itself: its objects hold to Kubernetes' schemas, and are what the manifests beside it are."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from intellirouter.config.load import load
from tests.packaging.test_files import CONTAINERS, PACKAGING, kubernetes

ROOT = PACKAGING.parent
CHART = PACKAGING / "helm" / "intellirouter"
EVERYTHING = (
    "ingress.enabled=true,ingress.className=nginx,serviceMonitor.enabled=true,imagePullSecrets={one},"
    "roles.router.nodeSelector.disk=ssd,roles.ragManager.replicas=3,roles.ragManager.persistence.storageClass=fast"
)


@cache
def helm() -> str:
    done = subprocess.run([ROOT / "scripts/helm"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@cache
def asked(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([helm(), *words], capture_output=True, text=True, check=False)


def rendered(*given: str) -> list[dict[str, Any]]:
    words = [word for one in given for word in ("--set", one)]
    done = asked("template", "home", str(CHART), "--namespace", "ai", *words)
    assert done.returncode == 0, done.stderr
    return [one for one in yaml.safe_load_all(done.stdout) if one]


def named(found: list[dict[str, Any]], kind: str) -> dict[str, dict[str, Any]]:
    return {one["metadata"]["name"]: one for one in found if one["kind"] == kind}


def pods(found: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return named(found, "Deployment") | named(found, "StatefulSet")


def test_helm_finds_nothing_wrong_with_the_chart() -> None:
    done = asked("lint", "--strict", str(CHART))
    assert done.returncode == 0, done.stdout
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["appVersion"] in (ROOT / "pyproject.toml").read_text()


@pytest.mark.parametrize(
    "given",
    [
        (),
        (EVERYTHING,),
        ("chroma.enabled=false,chroma.url=http://chroma.vectors:8000,networkPolicy.enabled=false",),
        (
            "roles.chainEngine.enabled=false,roles.personaLayer.enabled=false,roles.router.autoscaling.enabled=false",
        ),
        (
            "roles.ragManager.persistence.enabled=false,chroma.persistence.enabled=false,roles.ragManager.pullModel=false",
        ),
    ],
)
def test_every_object_holds_to_the_schemas_of_kubernetes(given: tuple[str, ...]) -> None:
    found = rendered(*given)
    for one in found:
        if one["kind"] != "ServiceMonitor":  # the Prometheus operator's own kind
            kubernetes_validate.validate(one, "1.30", strict=True)
    places = [(one["kind"], one["metadata"]["name"]) for one in found]
    assert len(places) == len(set(places))
    services = {name: one["spec"] for name, one in named(found, "Service").items()}
    for name, pod in pods(found).items():
        labels = pod["spec"]["template"]["metadata"]["labels"]
        assert pod["spec"]["selector"]["matchLabels"].items() <= labels.items()
        assert services[name]["selector"].items() <= labels.items()
        mounts = {
            one["name"]
            for container in pod["spec"]["template"]["spec"]["containers"]
            for one in container["volumeMounts"]
        }
        volumes = {one["name"] for one in pod["spec"]["template"]["spec"].get("volumes", ())}
        volumes |= {one["metadata"]["name"] for one in pod["spec"].get("volumeClaimTemplates", ())}
        assert mounts <= volumes
    for policy in named(found, "NetworkPolicy").values():
        for rule in policy["spec"].get("ingress", ()):
            assert rule["from"], "a rule without from lets everybody in"
    assert all(not ({"stringData", "data"} & one.keys() and one["kind"] == "Secret") for one in found)


def test_the_settings_of_the_chart_are_read_by_the_product() -> None:
    found = rendered("roles.ragManager.replicas=3")
    (common,) = (one["data"] for one in named(found, "ConfigMap").values())
    for part, role in CONTAINERS.items():
        container = pods(found)[f"home-{part}"]["spec"]["template"]["spec"]["containers"][0]
        assert container["args"] == ["run", "--role", role]
        told = {one["name"]: one["value"] for one in container.get("env", ()) if "value" in one}
        own = {"INTELLIROUTER__RAG__NODE": "home-rag-manager-2"} if part == "rag-manager" else {}
        settings = load(
            None, common | told | own | {"INTELLIROUTER__IPC__SECURITY__TOKEN": "t" * 32}
        ).settings
        assert settings.ipc.router_endpoint == "http://home-router:8080"
        assert settings.ipc.persona_layer_endpoint == "http://home-persona-layer:8080"
        assert settings.auth.enabled
        assert settings.rag.vector_db_url == "http://home-chroma:8000"
        if own:
            nodes = [f"home-rag-manager-{number}" for number in range(3)]
            assert settings.rag.nodes == {one: f"http://{one}.home-rag-manager-nodes:8080" for one in nodes}
        text = str(pods(found)[f"home-{part}"])
        assert ("OPENAI_API_KEY" in text) == (part == "router")
        assert ("database_url" in text) == (part == "chain-engine")


def test_the_chart_starts_what_the_manifests_start() -> None:
    """The two are written twice: what a pod runs, may and takes must not come apart."""
    ours, theirs = pods(rendered()), pods(kubernetes())
    assert ours.keys() == {f"home-{name}" for name in theirs}
    for name, pod in theirs.items():
        mine, there = ours[f"home-{name}"]["spec"]["template"]["spec"], pod["spec"]["template"]["spec"]
        assert mine["securityContext"] == there["securityContext"]
        for one, other in zip(mine["containers"], there["containers"], strict=True):
            for key in (
                "args",
                "resources",
                "securityContext",
                "readinessProbe",
                "livenessProbe",
                "lifecycle",
                "volumeMounts",
                "ports",
            ):
                assert one.get(key) == other.get(key), (name, key)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("roles.personaLayer.replicas=2", "must be 1"),
        ("roles.routr.enabled=true", "'routr' not allowed"),
        ("redisUrl=redis://:hunter2@redis:6379", "redisUrl"),
        ("config.INTELLIROUTER__IPC__SECURITY__TOKEN=abc", "INTELLIROUTER__IPC__SECURITY__TOKEN"),
        ("config.lower=1", "lower"),
        ("chroma.enabled=false", "chroma.url: name the Chroma"),
    ],
)  # fmt: skip
def test_values_that_are_wrong_are_refused_with_their_place(given: str, words: str) -> None:
    done = asked("template", "home", str(CHART), "--set", given)
    assert done.returncode != 0
    assert words in done.stderr


def test_the_values_hold_to_their_own_schema() -> None:
    schema = yaml.safe_load((CHART / "values.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(yaml.safe_load((CHART / "values.yaml").read_text()), schema)


def test_what_a_pod_runs_changes_with_its_settings() -> None:
    def sums(*given: str) -> set[str]:
        return {
            one["spec"]["template"]["metadata"]["annotations"]["checksum/config"]
            for name, one in pods(rendered(*given)).items()
            if name != "home-chroma"
        }

    before, after = sums(), sums("config.INTELLIROUTER__TELEMETRY__LOG_LEVEL=debug")
    assert len(before) == len(after) == 1
    assert before != after


def test_the_chart_has_no_file_that_is_not_its() -> None:
    assert {file.relative_to(CHART).parts[0] for file in CHART.rglob("*")} == {
        ".helmignore", "Chart.yaml", "templates", "values.schema.json", "values.yaml"
    }  # fmt: skip
    assert Path(CHART / "templates/NOTES.txt").is_file()
