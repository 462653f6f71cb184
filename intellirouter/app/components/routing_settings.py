"""What of the configuration steers where a request goes and how often it is tried, as the parts that do it take it."""

from __future__ import annotations

from typing import Literal

from intellirouter.config.schema.limits import LimitsSection
from intellirouter.config.schema.router import RouterSection, RouteSection, RuleSection
from intellirouter.inference.attempts import Limits
from intellirouter.inference.dispatch import Policy
from intellirouter.inference.learning.tiers import Route, route_of
from intellirouter.inference.limits.gate import Gate
from intellirouter.inference.selection.option import Rule


def gate_of(limits: LimitsSection) -> Gate | None:
    """How many requests are under way at once; None without a bound."""
    if limits.max_concurrent_requests is None:
        return None
    return Gate(
        limits.max_concurrent_requests,
        limits.queue_length,
        limits.queue_seconds,
        key_share=limits.key_share,
        tenant_share=limits.tenant_share,
    )


def policy_of(section: RouterSection, request_timeout: float) -> Policy:
    """How often and how long targets are tried."""

    def limits(hedge: float | Literal["p95", "never"]) -> Limits:
        return Limits(
            section.max_attempts,
            section.max_wait_seconds,
            None if hedge == "never" else hedge,
            patient=section.on_rate_limit == "wait",
        )

    return Policy(
        whole=limits(section.hedge_whole_after_seconds),
        streamed=limits(section.hedge_after_seconds),
        mid_stream=section.mid_stream,
        max_bytes=section.max_response_bytes,
        stall_seconds=section.stall_seconds,
        request_timeout=request_timeout,
    )


def rule_of(section: RuleSection) -> Rule:
    """A rule of the operator."""
    return Rule(
        targets=section.targets,
        min_tokens=section.min_tokens,
        max_tokens=section.max_tokens,
        images=section.images,
        tools=section.tools,
        tags=frozenset(section.tags),
        headers=section.headers,
        only=section.only,
    )


def named_route(section: RouteSection) -> Route:
    """A route that is found by its examples."""
    return route_of(section.name, section.targets, section.examples, section.likeness)
