"""`?key=` of Google's APIs: a key in the address, as older examples and many clients send it, moved into its header.

So it is known as any other, and stands in no log: paths are logged without their query, and what goes on has none of it.
"""

from __future__ import annotations

from aiohttp import web

from intellirouter.web.endpoint import DESCRIBED, Handler

PARAMETER, HEADER = "key", "x-goog-api-key"
_OTHERS = ("authorization", "x-api-key", HEADER)


def with_key_of_address(handler: Handler) -> Handler:
    """The handler, given a request whose key is in a header."""

    async def handle(request: web.Request) -> web.StreamResponse:
        if PARAMETER not in request.query:
            return await handler(request)
        headers = request.headers.copy()
        if not any(name in headers for name in _OTHERS):
            headers[HEADER] = request.query[PARAMETER]
        bare = request.rel_url.without_query_params(PARAMETER)
        return await handler(request.clone(rel_url=bare, headers=headers, remote=request.remote or ""))

    if handler in DESCRIBED:
        DESCRIBED[handle] = DESCRIBED[handler]
    return handle
