"""An error becomes an HTTP answer here, and nowhere else."""

from __future__ import annotations

import math
from collections.abc import Callable

from aiohttp import web

from intellirouter.errors import IntelliRouterError, RateLimited, UpstreamError, UpstreamRejected

Envelope = Callable[[IntelliRouterError], bytes]
"""How a dialect writes an error body."""


def status_of(error: IntelliRouterError) -> int:
    """The status the caller sees: the provider's own where it refused the request as it stands."""
    if isinstance(error, UpstreamRejected) and error.upstream_status in (400, 404, 409, 413, 422):
        return error.upstream_status
    return error.status


def error_response(error: IntelliRouterError, envelope: Envelope) -> web.Response:
    """The answer for `error`, with `Retry-After` where waiting helps."""
    response = web.Response(
        status=status_of(error), body=envelope(error), content_type="application/json", charset="utf-8"
    )
    wait = getattr(error, "retry_after", None)
    if wait is not None:
        response.headers["retry-after"] = str(max(1, math.ceil(wait)))
    if isinstance(error, RateLimited):
        response.headers.update(error.details.get("headers", {}))
    if error.status == 405 and (allowed := error.details.get("allowed")):
        response.headers["allow"] = ", ".join(allowed)  # RFC 9110, 15.5.6
    if isinstance(error, UpstreamError) and (attempts := error.details.get("attempts")):
        response.headers["x-intellirouter-attempts"] = str(sum(one.get("sent", 1) for one in attempts))
    return response
