"""All checks, side by side, each under its own deadline."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from pathlib import Path

from intellirouter.config.load import Loaded
from intellirouter.config.redact import Redactor, environment_secrets
from intellirouter.config.schema.settings import Settings
from intellirouter.config.shown import secrets
from intellirouter.inference.provider import Provider
from intellirouter.ops.diagnose import logs, machine
from intellirouter.ops.diagnose.documents import documents, servers
from intellirouter.ops.diagnose.finding import Finding, Level
from intellirouter.ops.diagnose.network import Place
from intellirouter.ops.diagnose.providers import examine_provider
from intellirouter.ops.diagnose.records import reach_all
from intellirouter.ops.diagnose.runs import runs
from intellirouter.ops.diagnose.services import services
from intellirouter.ops.diagnose.state import state
from intellirouter.transport.choose import make_transport

AREAS = ("system", "install", "services", "state", "network", "logs")
DEADLINE = 5.0
"""Seconds that one thing on the network may take."""


async def examine(loaded: Loaded, providers: Iterable[Provider], deadline: float = DEADLINE) -> list[Finding]:
    """Every finding on this node, in order of area. Ends within about three times `deadline` seconds whatever hangs."""
    settings, data_dir = loaded.settings, loaded.settings.paths.data_dir
    transport = make_transport(settings.router.transport, max_connections=8)
    try:
        async with asyncio.TaskGroup() as group:
            begun = [
                group.create_task(check)
                for check in (
                    services(deadline),
                    state(settings.memory, data_dir, deadline),
                    runs(settings.chain_engine, data_dir, deadline),
                    *(examine_provider(provider, transport, deadline) for provider in providers),
                    *(reach_all(place, settings.ipc.dns_server, deadline) for place in peers(settings)),
                )
            ]
    finally:
        await transport.aclose()
    found = [
        *machine.system(data_dir),
        *machine.installation(loaded),
        *(finding for task in begun for finding in task.result()),
        *documents(data_dir),
        logs.recent_errors(settings.telemetry.log_file),
    ]
    return sorted(found, key=lambda finding: AREAS.index(finding.area))


def unreadable(message: str) -> list[Finding]:
    """The findings of a node whose configuration does not hold: what can be told without it."""
    advice = "intellirouter validate-config shows the same; the node does not start until it holds."
    found = [Finding("install", "config", Level.PROBLEM, line, advice) for line in message.splitlines()]
    return [*machine.system(None), *found]


def peers(settings: Settings) -> list[Place]:
    """The roles and servers that the configuration names."""
    ipc, ca = settings.ipc, settings.ipc.security.ca
    roles = {
        "Router": ipc.router_endpoint,
        "ChainEngine": ipc.chain_engine_endpoint,
        "RagManager": ipc.rag_manager_endpoint,
        "PersonaLayer": ipc.persona_layer_endpoint,
    }
    # gRPC answers no GET
    path = "" if ipc.protocol == "grpc" else "/health/live"
    found = [Place(name, url, path=path, ca=str(ca) if ca else None) for name, url in roles.items() if url]
    found += [
        Place(f"RagManager {number}", url, path="/health/live", ca=str(ca) if ca else None)
        for number, url in enumerate(settings.rag.helpers, 2)
    ]
    found += [
        Place(f"RagManager '{name}'", url, path="/health/live", ca=str(ca) if ca else None)
        for name, url in settings.rag.nodes.items()
        if name != settings.rag.node
    ]
    if settings.telemetry.exports_spans and settings.telemetry.otlp_endpoint:
        found.append(Place("OpenTelemetry collector", settings.telemetry.otlp_endpoint))
    return [*found, *servers(settings.rag)]


def redactor(settings: Settings | None, environment: Mapping[str, str]) -> Redactor:
    """What takes every secret known here out of a text."""
    return Redactor([*(secrets(settings) if settings else ()), *environment_secrets(environment)])


def redacted(findings: Iterable[Finding], clean: Redactor) -> list[Finding]:
    """The findings as they may leave the node."""
    return [
        Finding(found.area, found.name, found.level, clean(found.message), clean(found.advice))
        for found in findings
    ]


def log_tail(file: Path | None, clean: Redactor) -> str:
    """The end of the log for a bundle, without secrets."""
    if file is None:
        return ""
    try:
        return "\n".join(clean(line) for line in logs.tail(file)[-2000:])
    except OSError as error:
        return f"{file}: {error.strerror}"
