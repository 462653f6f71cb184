"""Paths without parameters, looked up once.

aiohttp works out the match of every request anew: for a path that holds no parameter it is the same each time, and finding it
costs a twentieth of a short answer. Here the first request to a path goes aiohttp's way, and those after it take what that one found.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

Serve = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class KnownPaths:
    """Stands before an application's own `serve`; the application has no middlewares and no applications within it."""

    def __init__(self, serve: Serve) -> None:
        self._serve = serve
        self._known: dict[tuple[str, str], web.UrlMappingMatchInfo] = {}  # no more than there are routes

    def __call__(self, request: web.BaseRequest) -> Awaitable[web.StreamResponse]:
        """Answer a request."""
        match = self._known.get((request.method, request.path))
        if match is not None and isinstance(request, web.Request) and "expect" not in request.headers:
            request._match_info = match  # noqa: SLF001  what `request.app` reads; the only way to say it
            return match.handler(request)
        return self._found(request)

    async def _found(self, request: web.BaseRequest) -> web.StreamResponse:
        response = await self._serve(request)
        if isinstance(request, web.Request):
            self._learn(request)
        return response

    def _learn(self, request: web.Request) -> None:
        match = request.match_info
        resource = match.route.resource
        if isinstance(resource, web.PlainResource) and resource.canonical == request.path:
            self._known[request.method, request.path] = match
