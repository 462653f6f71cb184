"""How many tokens a request has, by the provider that would answer it."""

from __future__ import annotations

from intellirouter.chat.model import ChatRequest
from intellirouter.errors import UnsupportedByTarget
from intellirouter.inference.catalog import Candidate
from intellirouter.inference.job import Attempt
from intellirouter.inference.refusal import refusal
from intellirouter.providers.adapter import HttpResponse, Target
from intellirouter.transport.contract import Deadlines, Transport

MAX_BYTES = 64 * 1024
MAX_SECONDS = 10.0
"""A count that takes longer is worth less than an estimate."""


def counts(candidate: Candidate) -> bool:
    """True where the provider can be asked."""
    return candidate.provider.adapter.build_count is not None


async def count(
    transport: Transport,
    candidate: Candidate,
    target: Target,
    request: ChatRequest,
    deadlines: Deadlines,
    record: Attempt,
) -> int:
    """The provider's own number. Raises `UnsupportedByTarget` or `UpstreamError`."""
    adapter = candidate.provider.adapter
    if adapter.build_count is None or adapter.parse_count is None:
        raise UnsupportedByTarget(f"{candidate.provider.name} counts no tokens.", param="model")
    http = adapter.build_count(request.routed(model=target.model, stream=False), target)
    reply = await transport.send(http, deadlines, record.went_out)
    try:
        response = HttpResponse(reply.status, reply.headers, await reply.read(MAX_BYTES))
    finally:
        reply.close()
    if response.status >= 300:
        raise refusal(adapter, response, candidate.provider.name)
    return adapter.parse_count(response)
