"""A span for each call to a target, by OpenTelemetry's GenAI conventions. It is open until the answer is paid for.

Nothing here costs anything where the request is not traced.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from intellirouter.chat.response import Usage
from intellirouter.errors import IntelliRouterError
from intellirouter.inference.catalog import Candidate
from intellirouter.inference.job import Trace
from intellirouter.telemetry.tracing.span import Span, current

_VENDORS: Mapping[str, str] = {
    "google": "gcp.gemini",
    "vertex": "gcp.vertex_ai",
    "mistral": "mistral_ai",
    "azure": "azure.ai.openai",
    "openai_responses": "openai",
}
"""What the conventions call a vendor, where our kind is called otherwise."""
_PORTS = {"https": 443, "http": 80}


def begin(candidate: Candidate, trace: Trace) -> Span | None:
    """A call begins, which is not on the record yet; None where nothing is traced."""
    parent = current()
    if parent is None:
        return None
    model, kind = candidate.target.model, candidate.provider.adapter.kind
    url = urlsplit(candidate.target.base_url)
    return parent.child(
        f"{trace.operation} {model}",
        "client",
        {
            "gen_ai.operation.name": trace.operation,
            "gen_ai.provider.name": _VENDORS.get(kind, kind),
            "gen_ai.request.model": model,
            "server.address": url.hostname or "",
            "server.port": url.port or _PORTS.get(url.scheme, 0),
            "intellirouter.provider": candidate.provider.name,
            "intellirouter.attempt": len(trace.attempts) + 1,
        },
    )


def answered(trace: Trace, candidate: Candidate, span: Span) -> None:
    """The target answers: what it used is still to be said."""
    trace.spans[candidate.id] = span


def first_token(trace: Trace, candidate: Candidate) -> None:
    """A stream's first token is there."""
    if span := trace.spans.get(candidate.id):
        taken = next(one.seconds for one in reversed(trace.attempts) if one.candidate == candidate.id)
        span.note({"gen_ai.request.stream": True, "gen_ai.response.time_to_first_chunk": taken})


def settled(trace: Trace, candidate: Candidate, usage: Usage | None, cost_usd: float | None) -> None:
    """The call is over and what it used is known."""
    span = trace.spans.pop(candidate.id, None)
    if span is None:
        return
    if usage is not None:
        span.note(
            {
                "gen_ai.response.model": trace.model,
                "gen_ai.usage.input_tokens": usage.input_tokens,
                "gen_ai.usage.output_tokens": usage.output_tokens,
                "gen_ai.usage.cache_read.input_tokens": usage.cached_tokens or 0,
            }
        )
    if cost_usd is not None:
        span.note({"intellirouter.cost_usd": cost_usd})
    span.end()


def broken(trace: Trace, candidate: Candidate, error: IntelliRouterError) -> None:
    """A stream broke after its first token."""
    if span := trace.spans.pop(candidate.id, None):
        span.end(error.code)
