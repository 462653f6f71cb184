"""`/rag/v1`: collections, documents, jobs, retrieval. A tenant is that of the caller's key."""

from __future__ import annotations

import functools
from base64 import b64encode
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

import msgspec
from aiohttp import web

from intellirouter.chat.openai_chat.errors import encode_error
from intellirouter.chat.sse import format_event
from intellirouter.errors import InvalidRequest, NotFound, PermissionDenied
from intellirouter.peers.contract import RetrievalRequest
from intellirouter.roles.following import followed
from intellirouter.roles.rag_manager.cluster.forwarding import (
    at_collection,
    at_document,
    at_job,
    call_of,
    cluster_of,
    everywhere,
    passed_on,
)
from intellirouter.roles.rag_manager.keys import RAG
from intellirouter.roles.rag_manager.openai_forms import read_form
from intellirouter.roles.rag_manager.service import check_collection
from intellirouter.web.body import read_json, read_up_to
from intellirouter.web.endpoint import CALLER, Handler, endpoint

MOST_DOCUMENTS, MOST_CHUNKS, MOST_TEXTS, MOST_JOBS = 1_000, 1_000, 64, 100


class RetrieveBody(msgspec.Struct, forbid_unknown_fields=True):
    """The body of `POST /rag/v1/retrieve`."""

    query: str
    collections: tuple[str, ...]
    top_k: int = 5
    filters: dict[str, Any] | None = None
    min_score: float = 0.0
    token_budget: int | None = None
    rerank: str | None = None
    explain: bool = False
    relevant: bool = False
    mode: Literal["fused", "dense", "lexical"] = "fused"
    expand: tuple[str, ...] | None = None
    variants: tuple[str, ...] = ()
    passages: tuple[str, ...] = ()


class EmbedBody(msgspec.Struct, forbid_unknown_fields=True):
    """The body of `POST /rag/v1/embed`."""

    model: str
    texts: Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=MOST_TEXTS)]


def _json(body: object, status: int = 200) -> web.Response:
    return web.Response(status=status, body=msgspec.json.encode(body), content_type="application/json")


async def _collections(request: web.Request) -> web.StreamResponse:
    """The tenant's collections."""
    caller = request[CALLER]
    found = await request.app[RAG].collections(caller.tenant)
    return _json({"collections": [row for row in found if caller.may_use_collection(row["name"])]})


async def _create(request: web.Request) -> web.StreamResponse:
    """Make a collection: `name`, and how it is cut and embedded."""
    body = await read_json(request)
    name, split = body.get("name"), body.get("split", False)
    if not isinstance(name, str):
        raise InvalidRequest("'name' must be a string.", param="name")
    if not request[CALLER].may_use_collection(name):
        raise PermissionDenied(f"This key may not use a collection '{name[:200]}'.", param="name")
    if not isinstance(split, bool):
        raise InvalidRequest("'split' must be true or false.", param="split")
    service, cluster = request.app[RAG], cluster_of(request)
    if cluster is None:
        await service.create(request[CALLER].tenant, name, split=split)
    else:
        await cluster.create(name, call_of(request), service, split=split)
    return _json({"name": name}, 201)


async def _drop(request: web.Request) -> web.StreamResponse:
    """Remove a collection with its documents."""
    await request.app[RAG].drop(request[CALLER].tenant, request.match_info["collection"])
    return _json({"deleted": True})


async def _documents(request: web.Request) -> web.StreamResponse:
    """By name: `?after=` a name, `?limit=` up to 1,000."""
    limit = _number(request, "limit", MOST_DOCUMENTS, least=1, most=MOST_DOCUMENTS)
    rows = await request.app[RAG].documents(
        request[CALLER].tenant, request.match_info["collection"], request.query.get("after", ""), limit + 1
    )
    return _json({"documents": rows[:limit], "has_more": len(rows) > limit})


def _documents_together(body: dict[str, Any], request: web.Request) -> dict[str, Any]:
    """The first of all nodes: each gave its own first ones."""
    limit = _number(request, "limit", MOST_DOCUMENTS, least=1, most=MOST_DOCUMENTS)
    rows = sorted(body["documents"], key=lambda row: row["name"].encode())
    return {**body, "documents": rows[:limit], "has_more": body["has_more"] or len(rows) > limit}


async def _submit(request: web.Request) -> web.StreamResponse:
    """The body is the document; `?name=` names it, `?charset=` its encoding, any other parameter is an attribute."""
    attributes = dict(request.query)
    name = attributes.pop("name", "")
    if (
        "charset" not in attributes
        and (said := request.charset)
        and not request.content_type.endswith("json")
    ):
        attributes["charset"] = said
    collection, service = request.match_info["collection"], request.app[RAG]
    data, caller = (
        await read_up_to(request, service.max_document_bytes, "rag.max_document_bytes"),
        request[CALLER],
    )
    job = await service.submit(caller.tenant, collection, name, data, attributes, caller.owner())
    return _json({"job": job}, 202)


async def _drop_document(request: web.Request) -> web.StreamResponse:
    """Remove a document from a collection."""
    where = request.match_info
    await request.app[RAG].drop_document(request[CALLER].tenant, where["collection"], where["name"])
    return _json({"deleted": True})


async def _reindex(request: web.Request) -> web.StreamResponse:
    """Read, cut and embed the documents of a collection anew; answers with the job."""
    caller = request[CALLER]
    jobs = await request.app[RAG].reindex(caller.tenant, request.match_info["collection"], caller.owner())
    return _json({"jobs": jobs}, 202)


async def _verify(request: web.Request) -> web.StreamResponse:
    """Look whether catalogue, passages and vectors of a collection agree."""
    name = request.match_info["collection"]
    missing, stray = await request.app[RAG].differences(request[CALLER].tenant, name)
    return _json({"missing": missing, "stray": stray})


async def _rebuild(request: web.Request) -> web.StreamResponse:
    """Write the vectors of a collection anew from its passages."""
    name, caller = request.match_info["collection"], request[CALLER]
    return _json({"written": await request.app[RAG].rebuild(caller.tenant, name, caller)})


async def _jobs(request: web.Request) -> web.StreamResponse:
    """The tenant's jobs, the newest first."""
    caller = request[CALLER]
    found = await request.app[RAG].jobs(caller.tenant)
    return _json({"jobs": [row for row in found if caller.may_use_collection(row["collection"])]})


async def _the_job(request: web.Request) -> dict[str, Any]:
    """The path's job. Raises `NotFound`, for one of a collection that the key may not use too."""
    caller, job = request[CALLER], request.match_info["job"]
    found = await request.app[RAG].job(caller.tenant, job)
    if not caller.may_use_collection(found["collection"]):
        raise NotFound(f"There is no job '{job[:100]}'.")
    return found


async def _job(request: web.Request) -> web.StreamResponse:
    """One job, with how far it is."""
    return _json(await _the_job(request))


async def _follow(request: web.Request) -> web.StreamResponse:
    """Server-sent events: the job whenever it has changed, `job_ended` at last."""
    job = (await _the_job(request))["id"]  # one that is not there is a 404, not a stream

    async def events() -> AsyncIterator[bytes]:
        async for state in request.app[RAG].progress(request[CALLER].tenant, job):
            over = state["status"] not in ("queued", "running")
            yield format_event(msgspec.json.encode(state), "job_ended" if over else "job")

    return await followed(request, events(), "documents:read")


async def _chunks(request: web.Request) -> web.StreamResponse:
    """What a document was cut into: `?after=` a position, `?limit=` up to 1,000."""
    where = request.match_info
    after = _number(request, "after", -1, least=-1, most=1 << 62)
    limit = _number(request, "limit", 100, least=1, most=MOST_CHUNKS)
    found = await request.app[RAG].chunks(
        request[CALLER].tenant, where["collection"], where["name"], after, limit
    )
    return _json({"chunks": found, "has_more": len(found) == limit})


async def _cancel(request: web.Request) -> web.StreamResponse:
    """Cancel a job."""
    job = await _the_job(request)
    cancelled = await request.app[RAG].cancel(request[CALLER].tenant, job["id"])
    return _json({"cancelled": cancelled})


async def _retrieve(request: web.Request) -> web.StreamResponse:
    """Passages for a `query` from `collections`."""
    service = request.app[RAG]
    retrieve = service.retrieve_here if passed_on(request) else service.retrieve
    return _json(await retrieve(await _wanted(request), call_of(request)))


async def _candidates(request: web.Request) -> web.StreamResponse:
    """For another RagManager, which chooses among those of several nodes."""
    found = await request.app[RAG].candidates(await _wanted(request), call_of(request))
    return _json({"collections": found})


async def _wanted(request: web.Request) -> RetrievalRequest:
    return RetrievalRequest(**msgspec.structs.asdict(await read_form(request, RetrieveBody)))


async def _embed(request: web.Request) -> web.StreamResponse:
    """Vectors for another RagManager: base64 of little-endian float32 rows."""
    body = await read_form(request, EmbedBody)
    vectors = await request.app[RAG].embed(body.model, body.texts, request[CALLER])
    data = b64encode(vectors.astype("<f4").tobytes()).decode()
    return _json({"model": body.model, "dimension": vectors.shape[1], "vectors": data})


def _number(request: web.Request, name: str, default: int, *, least: int, most: int) -> int:
    """A parameter of the query."""
    try:
        number = int(request.query.get(name, default))
    except ValueError as cause:
        raise InvalidRequest(f"'{name}' is a number.", param=name) from cause
    if not least <= number <= most:
        raise InvalidRequest(f"'{name}' must be between {least} and {most}.", param=name)
    return number


def _collections_together(body: dict[str, Any], _request: web.Request) -> dict[str, Any]:
    """A collection that is split is one, with what its parts hold together."""
    rows: dict[str, dict[str, Any]] = {}
    for row in body["collections"]:
        known = rows.setdefault(row["name"], row)
        if known is not row:
            known |= {field: known[field] + row[field] for field in ("epoch", "documents", "chunks")}
    return {**body, "collections": [rows[name] for name in sorted(rows)]}


def _newest_jobs(body: dict[str, Any], _request: web.Request) -> dict[str, Any]:
    return {**body, "jobs": sorted(body["jobs"], key=lambda job: -job["created"])[:MOST_JOBS]}


def _fenced(handler: Handler) -> Handler:
    """Before anything is asked of a collection, whether the key may use it."""

    @functools.wraps(handler)
    async def handle(request: web.Request) -> web.StreamResponse:
        if (name := request.match_info.get("collection")) is not None:
            check_collection(request[CALLER], name)
        return await handler(request)

    return handle


def routes() -> list[web.RouteDef]:
    """The endpoints of this module."""

    def of(name: str, handler: Handler, *, recorded: bool = True) -> Handler:
        return endpoint(name, _fenced(handler), encode_error, recorded=recorded)

    one = "/rag/v1/collections/{collection}"
    return [
        web.get(
            "/rag/v1/collections", of("rag_collections", everywhere(_collections, _collections_together))
        ),
        web.post("/rag/v1/collections", of("rag_create", _create)),
        web.delete(one, of("rag_drop", at_collection(_drop, drops=True))),
        web.get(f"{one}/documents", of("rag_documents", at_collection(_documents, _documents_together))),
        web.post(f"{one}/documents", of("rag_submit", at_document(_submit))),
        web.get(one + "/documents/{name:.+}/chunks", of("rag_chunks", at_document(_chunks))),
        web.delete(one + "/documents/{name:.+}", of("rag_drop_document", at_document(_drop_document))),
        web.post(f"{one}/reindex", of("rag_reindex", at_collection(_reindex))),
        web.post(f"{one}/verify", of("rag_verify", at_collection(_verify))),
        web.post(f"{one}/rebuild", of("rag_rebuild", at_collection(_rebuild))),
        web.get("/rag/v1/jobs", of("rag_jobs", everywhere(_jobs, _newest_jobs))),
        web.get("/rag/v1/jobs/{job}", of("rag_job", at_job(_job), recorded=False)),
        web.get("/rag/v1/jobs/{job}/events", of("rag_job_events", at_job(_follow), recorded=False)),
        web.post("/rag/v1/jobs/{job}/cancel", of("rag_cancel", at_job(_cancel))),
        web.post("/rag/v1/embed", of("rag_embed", _embed)),
        web.post("/rag/v1/retrieve", of("rag_retrieve", _retrieve)),
        web.post("/rag/v1/candidates", of("rag_candidates", _candidates)),
    ]
