"""What a reload applies at once, and what waits for a restart: one table for every configuration key.

A key is named by its dotted path; a list or a table of names is one key. `tests/config/test_reload_table.py` walks the schema:
every key is in one of the two, and what the running node reads of a new configuration is exactly `APPLIES_NOW`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from pydantic import BaseModel

from intellirouter.config.schema.settings import Settings

APPLIES_NOW = frozenset(
    """
    alerts.enabled alerts.interval_seconds alerts.group_seconds alerts.repeat_seconds alerts.rules alerts.channels
    alerts.steps alerts.quiet_hours
    auth.enabled auth.keys auth.policy_file auth.jwt
    budgets.keys budgets.teams budgets.tags budgets.users budgets.unknown_price
    guards
    features.model_selection.share features.model_selection.keys features.model_selection.teams
    features.parallel_execution.share features.parallel_execution.keys features.parallel_execution.teams
    features.result_merging.share features.result_merging.keys features.result_merging.teams
    features.validation.share features.validation.keys features.validation.teams
    features.performance_tracking.share features.performance_tracking.keys features.performance_tracking.teams
    limits.each_key.requests_per_minute limits.each_key.tokens_per_minute limits.keys limits.teams limits.models
    model_registry.default_model model_registry.discover_environment model_registry.facts_file
    model_registry.providers model_registry.models
    records.content records.max_content_bytes records.retention_days records.max_bytes records.max_waiting_rows
    records.max_waiting_bytes
    router.strategy router.routes router.rules router.persona_rules router.persona_trials router.max_wait_seconds
    router.hedge_after_seconds router.hedge_whole_after_seconds router.mid_stream router.max_attempts
    router.max_response_bytes router.stall_seconds router.on_rate_limit
    server.tls.certificate server.tls.key
    telemetry.log_level telemetry.log_levels telemetry.log_format telemetry.log_file telemetry.log_most_alike
    telemetry.loki.url telemetry.loki.tenant telemetry.loki.username telemetry.loki.password telemetry.loki.headers
    telemetry.loki.labels telemetry.loki.ca telemetry.loki.level
    telemetry.journald.mode telemetry.journald.socket telemetry.journald.identifier telemetry.journald.level
    telemetry.syslog.address telemetry.syslog.facility telemetry.syslog.identifier telemetry.syslog.sd_id
    telemetry.syslog.max_bytes telemetry.syslog.ca telemetry.syslog.certificate telemetry.syslog.key telemetry.syslog.level
    """.split()
)
"""Of a list whose items are tables, all that stands in them."""

WAITS = frozenset(
    """
    environment backup memory ipc roles cache chain_engine rag persona_layer paths console outgoing keeping
    auth.keys_copy_seconds auth.login auth.oidc auth.audit
    secrets security
    server.host server.port server.grpc_port server.workers server.max_body_bytes server.max_body_values
    server.body_timeout
    server.keep_alive_timeout server.backlog server.drain_timeout server.drain_delay server.cors_origins server.allowed_hosts
    server.public_url server.trusted_proxies
    server.tls.client_ca server.tls.client_certificates server.tls.client_keys server.tls.minimum server.tls.ciphers
    limits.max_concurrent_requests limits.key_share limits.tenant_share limits.queue_length limits.queue_seconds
    limits.address_requests_per_minute limits.address_exempt
    model_registry.refresh_interval_seconds
    records.enabled records.database_url
    router.circuit router.request_timeout router.transport router.max_upstream_connections
    router.conversation_tokens router.conversation_summary router.conversation_ttl router.response_ttl
    router.keep_alive_seconds router.learning_interval
    telemetry.access_log telemetry.access_log_most telemetry.metrics_enabled telemetry.tracing_enabled
    telemetry.trace_sample_rate telemetry.otlp_endpoint telemetry.otlp_protocol telemetry.otlp_headers
    telemetry.otlp_metrics telemetry.otlp_metrics_seconds telemetry.otlp_logs telemetry.otlp_logs_level
    """.split()
)
"""A table stands for every key in it."""


def waits(path: str) -> bool:
    """True for a key that a running node does not take over."""
    return path not in APPLIES_NOW


def waiting(running: Settings, new: Settings) -> list[str]:
    """The keys that differ from what the node was started with, and wait for a restart."""
    return [path for path in _differing(running, new) if waits(path)]


def _differing(old: BaseModel, new: BaseModel, prefix: str = "") -> Iterator[str]:
    for name in type(new).model_fields:
        was, now = getattr(old, name), getattr(new, name)
        path = f"{prefix}{name}"
        if was == now:
            continue
        if isinstance(was, BaseModel) and isinstance(now, BaseModel):
            yield from _differing(was, now, f"{path}.")
        else:
            yield path


def keys(section: type[BaseModel] = Settings, prefix: str = "") -> Iterator[str]:
    """Every key of the schema."""
    for name, field in section.model_fields.items():
        inner = _table(field.annotation)
        if inner is None:
            yield f"{prefix}{name}"
        else:
            yield from keys(inner, f"{prefix}{name}.")


def _table(annotation: Any) -> type[BaseModel] | None:
    """The section that a key is, or may be; None for a value, a list, a table of names, and what is a word or a table."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if getattr(annotation, "__origin__", None) in (tuple, dict, Literal):
        return None
    if any(getattr(inner, "__origin__", None) is Literal for inner in getattr(annotation, "__args__", ())):
        return None
    return next((found for inner in getattr(annotation, "__args__", ()) if (found := _table(inner))), None)
