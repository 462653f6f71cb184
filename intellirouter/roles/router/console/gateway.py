"""`/console/api/{role}/{path}`: a page's request, handed to a role in the name of whoever is signed in."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace

import structlog
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from intellirouter.errors import (
    IntelliRouterError,
    NotFound,
    PeerUnavailable,
    PermissionDenied,
    UpstreamError,
)
from intellirouter.peers.contract import Call, RoleApi
from intellirouter.roles.keys import DOORS
from intellirouter.roles.router.console.sessions import Session
from intellirouter.security.caller import HANDED_HEADER, Caller
from intellirouter.telemetry.tracing.span import outgoing, traceparent_of
from intellirouter.transport.contract import Deadlines, Reply
from intellirouter.web import auditing
from intellirouter.web.body import read_body
from intellirouter.web.endpoint import FRAME, REQUEST_ID, VOUCHED, request_id_of

ROLE_NAMES = {
    "router": "Router",
    "chains": "ChainEngine",
    "rag": "RagManager",
    "personas": "PersonaLayer",
}
TOKEN_HEADER = "x-console-token"  # noqa: S105  the name of a header
READS = frozenset({"GET", "HEAD"})
_SENT_ON = (
    "content-type",
    "accept",
    "idempotency-key",
    "last-event-id",
    "x-intellirouter-explain",
    "x-session-id",
)
_KEPT_HERE = frozenset({"cookie", "authorization", "x-api-key", "x-goog-api-key", TOKEN_HEADER})
_TOLD = ("content-type", "content-disposition", "cache-control")
MAX_ANSWER_BYTES = 32 * 1024 * 1024
log = structlog.get_logger(__name__)

_PATIENCE = Deadlines(connect=5.0, first_byte=300.0, idle=300.0, total=3600.0)


class Gateway:
    """Knows the roles of this process by their applications, and the others by a client each."""

    def __init__(self, local: Mapping[str, web.Application], remote: Mapping[str, RoleApi]) -> None:
        self._local = local
        self._remote = remote

    def roles(self) -> dict[str, str]:
        """The roles that can be reached by their name here, and whether they are "local" or "remote"."""
        return {
            name: "local" if role in self._local else "remote"
            for name, role in ROLE_NAMES.items()
            if role in self._local or role in self._remote
        }

    def knows(self, role: str) -> bool:
        """Whether the role is part of this installation."""
        return role in self._local or role in self._remote

    async def ask(
        self, role: str, request: web.Request, path: URL, caller: Caller, seconds: float
    ) -> tuple[int, bytes]:
        """The status and body of a role's whole answer to `GET path`, asked on the way of a request. Raises `PeerUnavailable`, `NotFound`."""
        id_ = request[REQUEST_ID]
        if (app := self._local.get(role)) is not None:
            headers = CIMultiDict({"x-request-id": id_})
            if (context := outgoing(traceparent_of(request.headers))) is not None:
                headers["traceparent"] = context
            inner = request.clone(method="GET", rel_url=path, headers=headers, remote=request.remote or "")
            asking = replace(caller, via=frozenset({"Router"}))
            try:
                async with asyncio.timeout(seconds):
                    response = await _by(app, inner, asking)
            except TimeoutError as cause:
                raise PeerUnavailable(f"the {role} did not answer in time") from cause
            if not isinstance(response, web.Response) or not isinstance(response.body, bytes):
                raise TypeError("only whole answers can be asked for")
            return response.status, response.body
        if (client := self._remote.get(role)) is None:
            raise _nobody(role)
        patience = Deadlines(connect=5.0, first_byte=seconds, idle=seconds, total=seconds)
        reply = await client.send("GET", path.raw_path_qs, {}, b"", Call(caller, id_), patience)
        try:
            return reply.status, await reply.read(MAX_ANSWER_BYTES)
        except UpstreamError as cause:
            raise PeerUnavailable(f"the answer of the {role} broke off: {cause.message}") from cause
        finally:
            reply.close()

    async def pass_on(self, request: web.Request, caller: Caller) -> web.StreamResponse:
        """The role's own answer. Raises `NotFound` for a role that is not part of this installation."""
        role = ROLE_NAMES.get(request.match_info["role"], "")
        path = URL("/" + request.match_info["path"]).with_query(request.query)
        return await self.hand_on(role, request, path, caller)

    async def hand_on(self, role: str, request: web.Request, path: URL, caller: Caller) -> web.StreamResponse:
        """The role's own answer to a path of its own. Raises `NotFound` for a role that is not part of this installation."""
        if (app := self._local.get(role)) is not None:
            return await _here(app, request, path, caller)
        if (client := self._remote.get(role)) is not None:
            return await _through_the_door(role, client, request, path, caller)
        raise _nobody(role)


def _nobody(role: str) -> NotFound:
    return NotFound(f"The {role or 'role'} is not part of this installation.")


def check_write(request: web.Request, session: Session | None) -> None:
    """Let no other site write through a visitor's browser. Raises `PermissionDenied`."""
    if request.method in READS:
        return
    site = request.headers.get("sec-fetch-site", "same-origin")
    token = request.headers.get(TOKEN_HEADER, "")
    expected = session.token if session is not None else "visitor"
    if site not in ("same-origin", "none") or token != expected:
        raise PermissionDenied(
            "The console takes changes from its own pages only: reload the page and try again."
        )


async def _here(app: web.Application, request: web.Request, path: URL, caller: Caller) -> web.StreamResponse:
    headers = CIMultiDict(
        (name, value) for name, value in request.headers.items() if name.lower() not in _KEPT_HERE
    )
    return await _by(app, request.clone(rel_url=path, headers=headers, remote=request.remote or ""), caller)


async def _by(app: web.Application, inner: web.Request, caller: Caller) -> web.StreamResponse:
    """What the application answers to a request of this caller."""
    match = await app.router.resolve(inner)
    match.add_app(app)
    match.freeze()
    inner._match_info = match  # noqa: SLF001  what `request.app` reads; aiohttp has no other way to say it
    token = VOUCHED.set(caller)
    try:
        return await match.handler(inner)
    finally:
        VOUCHED.reset(token)


async def _through_the_door(
    role: str, client: RoleApi, request: web.Request, path: URL, caller: Caller
) -> web.StreamResponse:
    """A role elsewhere takes the Router's word for the caller, so here stands what its own door would ask of a client."""
    frame, doors = request.app[FRAME], request.app[DOORS]
    request[REQUEST_ID] = id_ = request_id_of(request)
    if doors.limit(caller):
        await doors.enter(role, caller)
    with frame.parallel.passing(caller.key_id, caller.fence, path.path, request.remote):
        if frame.auditor is not None:
            await auditing.begun(frame.auditor, request, caller, role, "handed_on", id_)
        return await _there(client, request, path, caller)


async def _there(client: RoleApi, request: web.Request, path: URL, caller: Caller) -> web.StreamResponse:
    body = b"" if request.method in READS else await read_body(request)
    headers = {name: request.headers[name] for name in _SENT_ON if name in request.headers}
    headers[HANDED_HEADER] = "1"
    call = Call(caller, request[REQUEST_ID])
    reply = await client.send(request.method, path.raw_path_qs, headers, body, call, _PATIENCE)
    try:
        told = {name: reply.headers[name] for name in _TOLD if name in reply.headers}
        response = web.StreamResponse(status=reply.status, headers=told)
        await response.prepare(request)
        await _passed_on(reply, response, request)
    finally:
        reply.close()
    return response


async def _passed_on(reply: Reply, response: web.StreamResponse, request: web.Request) -> None:
    """The bytes as they come. An answer that breaks is cut, so that nobody takes it for whole."""
    try:
        async for data in reply.chunks():
            await response.write(data)
        await response.write_eof()
    except IntelliRouterError as broken:
        log.warning("answer.broke_off", request_id=request[REQUEST_ID], reason=broken.message)
        if request.transport is not None:
            request.transport.abort()
