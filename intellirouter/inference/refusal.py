"""The error of an answer that is not a success, whoever was asked and for what.

A redirect is none of a vendor's errors and means the same everywhere, so it is read here, before the vendor's adapter.
"""

from __future__ import annotations

import time
from email.utils import formatdate
from urllib.parse import urlsplit

from intellirouter.errors import UpstreamError, UpstreamRedirected
from intellirouter.providers.adapter import Adapter, HttpResponse

MAX_ERROR_BYTES = 256 * 1024
"""What is longer is no vendor's error, and says nothing but its status."""
SHOWN = 200
"""Characters shown of where a redirect leads."""


def refusal(adapter: Adapter, response: HttpResponse, provider: str) -> UpstreamError:
    """The error. A wait that is told as a date counts from now where the answer has no date (RFC 9110, 6.6.1)."""
    if response.status < 400:
        return _redirected(response, provider)
    if "retry-after" in response.headers and "date" not in response.headers:
        headers = {**response.headers, "date": formatdate(time.time(), usegmt=True)}
        response = HttpResponse(response.status, headers, response.body)
    if len(response.body) > MAX_ERROR_BYTES:
        response = HttpResponse(response.status, response.headers, b"")
    return adapter.parse_error(response, provider)


def _redirected(response: HttpResponse, provider: str) -> UpstreamRedirected:
    """Nobody is followed with a key in hand; what a Location says beside its place may be a secret."""
    try:
        place = urlsplit(response.headers.get("location", ""))
        port = f":{place.port}" if place.port else ""
        host = f"{place.scheme}://{place.hostname}{port}" if place.hostname else ""
    except ValueError:
        host, place = "", urlsplit("")
    where = f"{host}{place.path}"[:SHOWN] or "nowhere in particular"
    return UpstreamRedirected(
        f"{provider or 'the provider'} answered {response.status}, a redirect to {where}. "
        "Redirects are not followed: set the provider's endpoint to where it leads.",
        provider=provider,
        upstream_status=response.status,
    )
