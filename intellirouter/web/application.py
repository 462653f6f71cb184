"""One role's aiohttp application."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from aiohttp import web

from intellirouter.chat.openai_chat.errors import encode_error
from intellirouter.config.schema.server import ServerSection
from intellirouter.errors import NotFound, RequestError
from intellirouter.web.body import BODY_TIMEOUT, BODY_VALUES, KEYLESS
from intellirouter.web.dialects import in_its_dialect
from intellirouter.web.endpoint import FRAME, Frame, Handler, endpoint
from intellirouter.web.openapi import API, described
from intellirouter.web.probes import HEALTH, Health, probe_routes

_SLASHES = re.compile(r"/{2,}")
_SERVED = ("/v1/", "/v1beta/", "/v2/", "/api/")
"""How the paths of the dialects begin."""
_PUBLISHED = re.compile(
    r"/v1(?:beta1?)?(?:/projects/[^/]{1,256}/locations/[^/]{1,256})?/publishers/google(/models/.+)"
)
"""A model of Google's at Vertex, as its clients ask for it there."""
_ANYTHING = "/{tail}"
_BASES = 2
"""How many versions before the one that is meant are passed over: a proxy's and the client's. Each is looked up."""


class MethodNotAllowed(RequestError):
    """The path exists, for another method."""

    code = "method_not_allowed"
    status = 405


def make_application(
    server: ServerSection,
    frame: Frame,
    health: Health,
    routes: Sequence[web.AbstractRouteDef],
    components: Mapping[web.AppKey[Any], Any],
    keyless: Callable[[], bool],
    api: Callable[[], bytes] = lambda: b"{}",
) -> web.Application:
    """The application with its routes, probes and components. Not started. `api` makes the description of the API."""
    app = web.Application(client_max_size=server.max_body_bytes)
    app[FRAME] = frame
    app[HEALTH] = health
    app[BODY_TIMEOUT] = server.body_timeout
    app[BODY_VALUES] = server.max_body_values
    app[KEYLESS] = keyless
    for key, value in components.items():
        app[key] = value
    app.add_routes(probe_routes())
    app[API] = api
    app.router.add_get("/openapi.json", endpoint("openapi", described, encode_error, recorded=False))
    app.add_routes(routes)
    app.router.add_route("*", "/{tail:.*}", _tidied(in_its_dialect("unknown", _unknown)))
    return app


def _meant(path: str) -> Iterator[str]:
    """What else the path may be, as clients join it to a base address.

    Its slashes are doubled or trail; the base ends in `/v1` and the client adds it, or a version of its own; or neither of them has it;
    or it is where Vertex has what is here in one place.
    """
    tidy = _SLASHES.sub("/", path).rstrip("/")
    for _ in range(1 + _BASES):
        if (published := _PUBLISHED.fullmatch(tidy)) is not None:
            yield f"/v1beta{published[1]}"
        if tidy and tidy != path:
            yield tidy
        rest = tidy.removeprefix("/v1")
        if rest == tidy or not rest.startswith(_SERVED):
            break
        tidy = rest
    if not tidy.startswith(_SERVED):
        yield f"/v1{tidy}"


def _tidied(unknown: Handler) -> Handler:
    """Whoever answers what the path may be meant for; else `unknown`."""

    async def handle(request: web.Request) -> web.StreamResponse:
        if request.match_info.handler is not handle:
            return await unknown(request)
        for path in _meant(request.path):
            rel_url = request.rel_url.with_path(path, keep_query=True)
            other = request.clone(rel_url=rel_url, remote=request.remote or "")
            match = await request.app.router.resolve(other)
            if match.handler is handle or match.http_exception is not None:
                continue
            match.add_app(request.app)
            match.freeze()
            other._match_info = match  # noqa: SLF001  what `request.app` reads; the only way to say it
            return await match.handler(other)
        return await unknown(request)

    return handle


async def _unknown(request: web.Request) -> web.StreamResponse:
    allowed = sorted(await _methods(request))
    path = request.path[:200]
    if allowed:
        raise MethodNotAllowed(f"{path} takes {', '.join(allowed)}, not {request.method}.", allowed=allowed)
    raise NotFound(f"There is no endpoint {request.method} {path} on this role.")


async def _methods(request: web.Request) -> set[str]:
    """The methods that this path does take."""
    found: set[str] = set()
    for resource in request.app.router.resources():
        if resource.canonical != _ANYTHING:
            _, methods = await resource.resolve(request)
            found |= methods
    return found - {"*"}
