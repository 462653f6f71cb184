"""HTTP handlers of a node among several: each request is answered where what it is about lies.

A wrapper names how that is found: by the tenant, the collection, the document or the job. On a node alone they do nothing.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import quote

import msgspec
import structlog
from aiohttp import web

from intellirouter.errors import (
    IntelliRouterError,
    NotFound,
    PeerUnavailable,
    UpstreamError,
)
from intellirouter.peers.contract import Call
from intellirouter.peers.http_roles import said
from intellirouter.roles.rag_manager.cluster.cluster import Cluster
from intellirouter.roles.rag_manager.cluster.neighbour import PLACED
from intellirouter.roles.rag_manager.keys import RAG
from intellirouter.security.caller import ANONYMOUS
from intellirouter.telemetry.tracing.span import traceparent_of
from intellirouter.transport.contract import Reply
from intellirouter.web.body import read_up_to
from intellirouter.web.endpoint import CALLER, REQUEST_ID, Handler

FORM_BYTES = 1 << 20
"""What a form has beside its file."""
LARGE_BYTES = 1 << 20
"""A larger body waits for a place: what is passed on lies in memory."""
MAX_ANSWER_BYTES = 64 << 20
_TAKEN = ("content-type", "accept")
_GIVEN = ("content-type", "content-disposition", "retry-after")
_STREAMED = ("text/event-stream", "application/octet-stream")

Row = dict[str, Any]
Tidy = Callable[[Row, web.Request], Row]
log = structlog.get_logger(__name__)


def _as_is(body: Row, _request: web.Request) -> Row:
    return body


def cluster_of(request: web.Request) -> Cluster | None:
    """The cluster to ask; None on a node alone, and for what another node has passed on to this one."""
    return None if passed_on(request) else request.app[RAG].cluster


def passed_on(request: web.Request) -> bool:
    """Another node has found that this is the right one. A client's word for that is not taken."""
    caller = request[CALLER]
    return PLACED in request.headers and ("RagManager" in caller.via or caller is ANONYMOUS)


def call_of(request: web.Request) -> Call:
    """The call that goes along with what is asked of a neighbour."""
    return Call(request[CALLER], request[REQUEST_ID], traceparent=traceparent_of(request.headers))


def at_home(handler: Handler) -> Handler:
    """For a tenant's files and vector stores."""

    @functools.wraps(handler)
    async def handle(request: web.Request) -> web.StreamResponse:
        if (cluster := cluster_of(request)) is None:
            return await handler(request)
        node = await cluster.placements.settle(request[CALLER].tenant)
        return await _at(node, request, handler, cluster)

    return handle


def at_document(handler: Handler) -> Handler:
    """For one document, named in the path or the query."""

    @functools.wraps(handler)
    async def handle(request: web.Request) -> web.StreamResponse:
        if (cluster := cluster_of(request)) is None:
            return await handler(request)
        where = request.match_info
        document = where.get("name") or request.query.get("name", "")
        node = await cluster.node_of(request[CALLER].tenant, where["collection"], document)
        return await _at(node, request, handler, cluster)

    return handle


def at_collection(handler: Handler, tidy: Tidy = _as_is, *, drops: bool = False) -> Handler:
    """For a whole collection; of one that is split, the answers of its nodes together, put in order by `tidy`."""

    @functools.wraps(handler)
    async def handle(request: web.Request) -> web.StreamResponse:
        if (cluster := cluster_of(request)) is None:
            return await handler(request)
        tenant, name = request[CALLER].tenant, request.match_info["collection"]
        nodes = await cluster.nodes_of(tenant, name)
        try:
            if len(nodes) == 1:
                response = await _at(nodes[0], request, handler, cluster)
            else:
                response = await _together(nodes, request, handler, cluster, tidy)
        except NotFound:
            if drops:  # what is placed and nowhere would keep its name for ever
                await cluster.placements.forget(tenant, name)
            raise
        if drops and (response.status < 300 or response.status == NotFound.status):
            await cluster.placements.forget(tenant, name)
        return response

    return handle


def at_source(handler: Handler) -> Handler:
    """For a source, where its collection is."""

    @functools.wraps(handler)
    async def handle(request: web.Request) -> web.StreamResponse:
        if (cluster := cluster_of(request)) is None:
            return await handler(request)
        tenant = request[CALLER].tenant
        section = request.app[RAG].sources.section(tenant, request.match_info["source"])
        nodes = await cluster.placements.find(tenant, section.collection)
        return await _at(
            (nodes or cluster.placements.due(tenant, section.collection))[0], request, handler, cluster
        )

    return handle


def everywhere(handler: Handler, tidy: Tidy) -> Handler:
    """For what is on every node: the answers together, put in order by `tidy`."""

    @functools.wraps(handler)
    async def handle(request: web.Request) -> web.StreamResponse:
        if (cluster := cluster_of(request)) is None:
            return await handler(request)
        return await _together(cluster.nodes, request, handler, cluster, tidy)

    return handle


def at_job(handler: Handler) -> Handler:
    """For a job, wherever it runs."""

    @functools.wraps(handler)
    async def handle(request: web.Request) -> web.StreamResponse:
        if (cluster := cluster_of(request)) is None:
            return await handler(request)
        job = request.match_info["job"]
        try:
            await request.app[RAG].job(request[CALLER].tenant, job)
        except NotFound as unknown:
            return await _at(await _having(job, request, cluster, unknown), request, handler, cluster)
        return await handler(request)

    return handle


async def _having(job: str, request: web.Request, cluster: Cluster, unknown: NotFound) -> str:
    """The neighbour that has the job. Raises `PeerUnavailable` while one that may have it is away."""
    away: PeerUnavailable | None = None
    for node in cluster.nodes[1:]:
        try:
            await _read(await _pass_on(node, request, cluster, "GET", f"/rag/v1/jobs/{quote(job, safe='')}"))
        except NotFound:
            continue
        except PeerUnavailable as error:
            away = error
        else:
            return node
    raise away or unknown


async def _at(node: str, request: web.Request, handler: Handler, cluster: Cluster) -> web.StreamResponse:
    if node == cluster.node:
        return await handler(request)
    reply = await _pass_on(node, request, cluster, request.method, request.rel_url.raw_path_qs)
    try:
        headers = {name: reply.headers[name] for name in _GIVEN if name in reply.headers}
        if reply.headers.get("content-type", "").partition(";")[0] in _STREAMED:
            return await _streamed(request, reply, headers)
        return web.Response(status=reply.status, body=await reply.read(MAX_ANSWER_BYTES), headers=headers)
    except UpstreamError as broken:
        raise PeerUnavailable(
            f"the answer of the RagManager '{node}' broke off: {broken.message}"
        ) from broken
    finally:
        reply.close()


async def _streamed(request: web.Request, reply: Reply, headers: Row) -> web.StreamResponse:
    """The bytes as they come. A stream that breaks is cut, so that nobody takes it for whole."""
    response = web.StreamResponse(
        status=reply.status, headers={**headers, "x-request-id": request[REQUEST_ID]}
    )
    await response.prepare(request)
    try:
        async for data in reply.chunks():
            await response.write(data)
        await response.write_eof()
    except UpstreamError as broken:
        log.warning("rag.answer_broke_off", request_id=request[REQUEST_ID], reason=broken.message)
        if request.transport is not None:
            request.transport.abort()
    return response


async def _together(
    nodes: Sequence[str], request: web.Request, handler: Handler, cluster: Cluster, tidy: Tidy
) -> web.StreamResponse:
    async def here() -> Row:
        response = await handler(request)
        if not isinstance(response, web.Response):
            raise TypeError("only whole answers can be put together")
        return _object(response.body)

    async def there(node: str) -> Row:
        return await _read(
            await _pass_on(node, request, cluster, request.method, request.rel_url.raw_path_qs)
        )

    async def part(node: str) -> Row:
        try:
            return await (here() if node == cluster.node else there(node))
        except NotFound:
            if request.method != "DELETE":
                raise
            return {"deleted": True}  # by an earlier try, which did not reach every node

    found, away = await cluster.each(
        {node: part(node) for node in nodes},
        partial=cluster.partial and request.method == "GET",  # what changes something is done everywhere
    )
    body = tidy(together(list(found.values())), request)
    status = 202 if request.method == "POST" and "jobs" in body else 200
    data = msgspec.json.encode({**body, "partial": True} if away else body)
    return web.Response(status=status, body=data, content_type="application/json")


def together(answers: Sequence[Row]) -> Row:
    """One object of several of one form: lists follow one another, numbers are added, what is true of one is true, anything else
    is as in the first."""
    whole = dict(answers[0])
    for answer in answers[1:]:
        for name, value in answer.items():
            if isinstance(value, list):
                whole[name] = [*whole.get(name, []), *value]
            elif isinstance(value, bool):
                whole[name] = whole.get(name, False) or value
            elif isinstance(value, int):
                whole[name] = whole.get(name, 0) + value
    return whole


async def _pass_on(node: str, request: web.Request, cluster: Cluster, method: str, path: str) -> Reply:
    neighbour = cluster.neighbour(node)
    headers = {name: request.headers[name] for name in _TAKEN if name in request.headers}
    length = request.content_length
    large = request.can_read_body and (length is None or length > LARGE_BYTES)
    async with cluster.large if large else contextlib.nullcontext():
        limit = request.app[RAG].max_document_bytes + FORM_BYTES  # may be more than other requests may have
        body = await read_up_to(request, limit, "rag.max_document_bytes")
        return await neighbour.pass_on(method, path, headers, body, call_of(request))


async def _read(reply: Reply) -> Row:
    """The object that a node answered. Raises what it refused with."""
    try:
        data = await reply.read(MAX_ANSWER_BYTES)
    except UpstreamError as broken:
        raise PeerUnavailable(f"the answer of a RagManager broke off: {broken.message}") from broken
    finally:
        reply.close()
    if reply.status >= 300:
        error: IntelliRouterError = said(reply.status, data, "RagManager")
        raise error
    return _object(data)


def _object(data: Any) -> Row:
    return msgspec.json.decode(bytes(data), type=Row)
