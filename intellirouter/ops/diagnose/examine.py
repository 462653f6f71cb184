"""All checks, side by side, each under its own deadline."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from intellirouter.config.load import Loaded
from intellirouter.config.redact import Redactor, environment_secrets
from intellirouter.config.schema.log_outlets import SYSLOG_PORTS
from intellirouter.config.schema.settings import Settings
from intellirouter.config.schema.telemetry import TelemetrySection
from intellirouter.config.shown import secrets
from intellirouter.inference.provider import Provider
from intellirouter.ops.diagnose import logs, machine
from intellirouter.ops.diagnose.alerts import alerts
from intellirouter.ops.diagnose.at_rest import at_rest
from intellirouter.ops.diagnose.certificates import authorities, own_certificates
from intellirouter.ops.diagnose.documents import documents, servers
from intellirouter.ops.diagnose.finding import Finding, Level
from intellirouter.ops.diagnose.folders import folders
from intellirouter.ops.diagnose.guard import guarded, guarded_now
from intellirouter.ops.diagnose.issuers import examine_issuer, issuers_of
from intellirouter.ops.diagnose.network import Place
from intellirouter.ops.diagnose.providers import examine_provider
from intellirouter.ops.diagnose.records import reach_all
from intellirouter.ops.diagnose.request_record import request_record
from intellirouter.ops.diagnose.runs import runs
from intellirouter.ops.diagnose.services import services
from intellirouter.ops.diagnose.state import state
from intellirouter.ops.diagnose.trust import trusted
from intellirouter.transport.choose import make_transport

AREAS = ("system", "install", "services", "state", "network", "logs")
DEADLINE = 5.0
"""Seconds that one thing on the network may take."""


async def examine(
    loaded: Loaded,
    providers: Iterable[Provider],
    deadline: float = DEADLINE,
    more: Iterable[Awaitable[list[Finding]]] = (),
    open_files: int | None = None,
) -> list[Finding]:
    """Every finding on this node, in order of area. Ends within about three times `deadline` seconds whatever hangs.

    A check that fails is a finding. `more` are checks of whoever knows the roles; `open_files` is the limit of the node's unit.
    """
    settings, data_dir = loaded.settings, loaded.settings.paths.data_dir
    transport = make_transport(settings.router.transport, max_connections=8)
    try:
        async with asyncio.TaskGroup() as group:
            begun = [
                group.create_task(guarded(area, name, check))
                for area, name, check in (
                    ("services", "units", services(deadline)),
                    ("state", settings.memory.backend_type, state(settings.memory, data_dir, deadline)),
                    ("state", "runs", runs(settings.chain_engine, data_dir, deadline)),
                    ("services", "alerts", alerts(settings.alerts, deadline)),
                    ("state", "record", request_record(settings.records, data_dir, deadline)),
                    *(
                        (
                            "network",
                            f"provider {provider.name}",
                            examine_provider(
                                provider, transport, deadline, _targets(settings, provider.name)
                            ),
                        )
                        for provider in providers
                    ),
                    *(
                        ("network", place.name, _reached(settings, place, deadline))
                        for place in peers(settings)
                    ),
                    *(
                        ("network", name, examine_issuer(name, section, settings.outgoing))
                        for name, section in issuers_of(settings)
                    ),
                    *(("services", "roles", check) for check in more),
                )
            ]
    finally:
        await transport.aclose()
    found = [
        *guarded_now("system", "machine", lambda: machine.system(data_dir, open_files)),
        *guarded_now("install", "install", lambda: machine.installation(loaded)),
        *guarded_now("install", "encryption", lambda: at_rest(settings)),
        *guarded_now("install", "certificates", lambda: own_certificates(settings)),
        *guarded_now("install", "folders", lambda: folders(settings)),
        *guarded_now("install", "authorities", lambda: authorities(settings)),
        *(finding for task in begun for finding in task.result()),
        *guarded_now("state", "documents", lambda: documents(data_dir)),
        *guarded_now("logs", "log", lambda: [logs.recent_errors(settings.telemetry.log_file)]),
        *guarded_now("logs", "sockets", lambda: list(logs.sockets(settings.telemetry))),
    ]
    return sorted(found, key=lambda finding: AREAS.index(finding.area))


def _targets(settings: Settings, provider: str) -> list[str]:
    """The models of a provider that the configuration names."""
    named = (one.target for model in settings.model_registry.models for one in model.targets)
    return [name.removeprefix(f"{provider}/") for name in named if name.startswith(f"{provider}/")]


async def _reached(settings: Settings, place: Place, deadline: float) -> list[Finding]:
    """Whether a place answers, and where it is a role, whether it takes our calls."""
    found = await reach_all(place, settings.ipc.dns_server, deadline)
    if place.role is None or not place.path:
        return found
    refused = [
        trusted(settings, place.role, one.name, one.place, deadline)
        for one in found
        if one.level is not Level.PROBLEM and one.place
    ]
    return [*found, *(finding for finding in await asyncio.gather(*refused) if finding is not None)]


def unreadable(message: str) -> list[Finding]:
    """The findings on a configuration that does not hold."""
    advice = "intellirouter validate-config shows the same; the node does not start until it holds."
    return [Finding("install", "config", Level.PROBLEM, line, advice) for line in message.splitlines()]


def without_configuration() -> list[Finding]:
    """What can be told where there is nothing to go by."""
    return guarded_now("system", "machine", lambda: machine.system(None, None))


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
    trust = str(ca) if ca else None
    found = [Place(name, url, path=path, ca=trust, role=name) for name, url in roles.items() if url]
    found += [
        Place(f"RagManager {number}", url, path="/health/live", ca=trust, role="RagManager")
        for number, url in enumerate(settings.rag.helpers, 2)
    ]
    found += [
        Place(f"RagManager '{name}'", url, path="/health/live", ca=trust, role="RagManager")
        for name, url in settings.rag.nodes.items()
        if name != settings.rag.node
    ]
    found += _collectors(settings.telemetry)
    if (centre := settings.chain_engine.centre) is not None and settings.chain_engine.mode == "hybrid":
        path = "" if centre.protocol == "grpc" else "/health/live"
        found.append(Place("centre", centre.url, path=path, ours=True))
    return [*found, *servers(settings.rag)]


def _collectors(telemetry: TelemetrySection) -> Iterator[Place]:
    """Where traces, metrics and log lines go over the network."""
    if telemetry.otlp_endpoint and (
        telemetry.exports_spans or telemetry.exports_metrics or telemetry.exports_logs
    ):
        yield Place("OpenTelemetry collector", telemetry.otlp_endpoint)
    loki = telemetry.loki
    if loki.url:
        yield Place("Loki", loki.url, path="/ready", ca=str(loki.ca) if loki.ca else None)
    address = telemetry.syslog.address
    if address.startswith(("tcp://", "tls://")):
        url = urlsplit(address)
        host = f"[{url.hostname}]" if ":" in (url.hostname or "") else url.hostname
        yield Place("syslog server", f"{url.scheme}://{host}:{url.port or SYSLOG_PORTS[url.scheme]}")


def redactor(settings: Settings | None, environment: Mapping[str, str]) -> Redactor:
    """What takes every secret known here out of a text."""
    return Redactor([*(secrets(settings) if settings else ()), *environment_secrets(environment)])


def redacted(findings: Iterable[Finding], clean: Redactor) -> list[Finding]:
    """The findings as they may leave the node."""
    return [
        Finding(found.area, clean(found.name), found.level, clean(found.message), clean(found.advice))
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
