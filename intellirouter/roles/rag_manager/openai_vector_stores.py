"""OpenAI's `/v1/vector_stores`: collections in OpenAI's form. `vs_…` is the id of the collection `ir-…`.

Every collection of the tenant is a vector store, whichever way it was made. Reading a document is a job as any other, so
a file is `in_progress` until its job is over. Source of the shapes: OpenAI's API reference, "Vector stores".
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any, Literal

import msgspec
from aiohttp import web

from intellirouter.chat.openai_chat.errors import encode_error
from intellirouter.errors import InvalidRequest, PermissionDenied
from intellirouter.peers.contract import Call, Passage, RetrievalRequest
from intellirouter.roles.rag_manager import openai_catalog
from intellirouter.roles.rag_manager.catalog import Row
from intellirouter.roles.rag_manager.cluster.forwarding import at_home
from intellirouter.roles.rag_manager.expiring import DAY, is_over
from intellirouter.roles.rag_manager.keys import RAG
from intellirouter.roles.rag_manager.openai_attachments import AttachForm, attach, attachment_routes
from intellirouter.roles.rag_manager.openai_forms import answer, check_pairs, read_form
from intellirouter.roles.rag_manager.openai_pages import page_body, page_of, read_page
from intellirouter.roles.rag_manager.openai_stores import counts, find_store, public_id
from intellirouter.roles.rag_manager.rewriting import rewritten
from intellirouter.web.endpoint import CALLER, REQUEST_ID, Handler, endpoint

MAX_NAME = 256
MAX_RESULTS = 50
MAX_FILES = 500
MAX_QUERIES = 10
RANKERS = ("auto", "none", "default-2024-11-15")


class _Expiry(msgspec.Struct, forbid_unknown_fields=True):
    anchor: Literal["last_active_at"]
    days: Annotated[int, msgspec.Meta(ge=1, le=365)]


class StoreForm(msgspec.Struct, forbid_unknown_fields=True):
    """The body of create and update; what is unset stays."""

    name: str | msgspec.UnsetType | None = msgspec.UNSET
    description: str | msgspec.UnsetType | None = msgspec.UNSET
    metadata: dict[str, str] | msgspec.UnsetType | None = msgspec.UNSET
    expires_after: _Expiry | msgspec.UnsetType | None = msgspec.UNSET


class NewStoreForm(StoreForm, forbid_unknown_fields=True):
    """The body of create."""

    file_ids: list[str] = msgspec.field(default_factory=list)
    chunking_strategy: dict[str, Any] | None = None


class RankingOptions(msgspec.Struct, forbid_unknown_fields=True):
    """How a search ranks; the node's own fusion stands behind every name."""

    ranker: str = "auto"
    score_threshold: float = 0.0


class SearchForm(msgspec.Struct, forbid_unknown_fields=True):
    """The body of search."""

    query: str | list[str]
    filters: dict[str, Any] | None = None
    max_num_results: int = 10
    ranking_options: RankingOptions | None = None
    rewrite_query: bool = False


def _store(row: Row) -> Row:
    return {
        "id": public_id(row["collection"]),
        "object": "vector_store",
        "created_at": int(row["created"]),
        "name": row["name"] or "",
        "description": row["description"],
        "usage_bytes": row["usage"],
        "file_counts": counts(row),
        "status": "expired"
        if is_over(row["active"], row["expires_days"])
        else "in_progress"
        if row["in_progress"]
        else "completed",
        "expires_after": {"anchor": "last_active_at", "days": days}
        if (days := row["expires_days"])
        else None,
        "expires_at": int(row["active"] + days * DAY) if days else None,
        "last_active_at": int(row["active"]),
        "metadata": row["metadata"],
    }


def _described(form: StoreForm, before: Row) -> Row:
    """Name, description, metadata and expiry after `form`."""
    given = {key: getattr(form, key) for key in ("name", "description", "metadata")}
    after = {key: before[key] if value is msgspec.UNSET else value for key, value in given.items()}
    after["metadata"] = after["metadata"] or {}
    expiry = form.expires_after
    after["expires_days"] = (
        before["expires_days"] if expiry is msgspec.UNSET else None if expiry is None else expiry.days
    )
    check_pairs(after["metadata"], "metadata", (str,))
    for key in ("name", "description"):
        if len(after[key] or "") > MAX_NAME:
            raise InvalidRequest(f"'{key}' has at most {MAX_NAME} characters.", param=key)
    return after


async def _create(request: web.Request) -> web.StreamResponse:
    """Make a vector store."""
    form = await read_form(request, NewStoreForm)
    service, tenant = request.app[RAG], request[CALLER].tenant
    described = _described(form, {"name": None, "description": None, "metadata": {}, "expires_days": None})
    files = [AttachForm(id_, chunking_strategy=form.chunking_strategy) for id_ in form.file_ids]
    if len(files) > MAX_FILES:
        raise InvalidRequest(f"'file_ids' has at most {MAX_FILES} files.", param="file_ids")
    await service.shelf.room(tenant, "collections")
    row = service.new_collection(tenant)
    if not request[CALLER].may_use_collection(row.name):
        raise PermissionDenied("This key may use some collections only, and not make vector stores.")
    add = partial(openai_catalog.add_store, row=row, described=described)
    if files:
        await attach(request, {"collection": row.id}, files, before=add)
    else:
        await service.engine.write(add)
    return await _shown(request, public_id(row.id))


async def _list(request: web.Request) -> web.StreamResponse:
    """The tenant's vector stores."""
    caller = request[CALLER]
    listing, wanted = openai_catalog.stores(caller.tenant), page_of(request)

    def within(rows: Sequence[Row]) -> list[Row]:
        return [row for row in rows if caller.may_use_collection(row["collection_name"])]

    def read(db: sqlite3.Connection) -> tuple[list[Row], bool]:
        rows, more = read_page(db, listing, wanted, None if caller.fence is None else within)
        return openai_catalog.counted(db, openai_catalog.with_metadata(rows)), more

    rows, more = await request.app[RAG].engine.read(read)
    return answer(page_body([_store(row) for row in rows], more))


async def _get(request: web.Request) -> web.StreamResponse:
    """One vector store, with its counts."""
    return await _shown(request)


async def _shown(request: web.Request, id_: str | None = None) -> web.StreamResponse:
    """The store with its counts, the path's by default."""
    row = await find_store(request, id_)
    (counted,) = await request.app[RAG].engine.read(partial(openai_catalog.counted, found=[row]))
    return answer(_store(counted))


async def _update(request: web.Request) -> web.StreamResponse:
    """Change name, expiry or metadata of a vector store."""
    row = await find_store(request)
    described = _described(await read_form(request, StoreForm), row)
    describe = partial(openai_catalog.describe_store, collection=row["collection"], described=described)
    await request.app[RAG].engine.write(describe)
    return await _shown(request)


async def _delete(request: web.Request) -> web.StreamResponse:
    """Remove a vector store; its files stay."""
    row = await find_store(request)
    await request.app[RAG].drop(request[CALLER].tenant, row["collection_name"])
    return answer({"id": public_id(row["collection"]), "object": "vector_store.deleted", "deleted": True})


async def _search(request: web.Request) -> web.StreamResponse:
    """Passages of a vector store for a query."""
    store = await find_store(request)
    form = await read_form(request, SearchForm)
    queries = [form.query] if isinstance(form.query, str) else form.query
    ranking = form.ranking_options or RankingOptions()
    if not 1 <= form.max_num_results <= MAX_RESULTS:
        raise InvalidRequest(f"'max_num_results' is 1 to {MAX_RESULTS}.", param="max_num_results")
    if not 1 <= len(queries) <= MAX_QUERIES:
        raise InvalidRequest(f"'query' is a string or 1 to {MAX_QUERIES} of them.", param="query")
    if ranking.ranker not in RANKERS:
        words = f"'ranker' is one of: {', '.join(RANKERS)}."
        raise InvalidRequest(words, param="ranking_options.ranker")
    if not 0 <= ranking.score_threshold <= 1:
        words = "'score_threshold' is between 0 and 1."
        raise InvalidRequest(words, param="ranking_options.score_threshold")
    if form.rewrite_query:
        queries = [rewritten(query) for query in queries]
    best: dict[str, Passage] = {}
    for query in queries:
        wanted = RetrievalRequest(
            query,
            (store["collection_name"],),
            form.max_num_results,
            form.filters,
            relevant=ranking.score_threshold
            > 0,  # scores compare passages; what has nothing to do with the query has a best one too
        )
        found = await request.app[RAG].retrieve(wanted, Call(request[CALLER], request[REQUEST_ID]))
        for passage in found.passages:
            if passage.id not in best or best[passage.id].score < passage.score:
                best[passage.id] = passage
    ranked = sorted(best.values(), key=lambda passage: -passage.score)
    chosen = [passage for passage in ranked if passage.score >= ranking.score_threshold]
    results = await _results(request, store, chosen[: form.max_num_results])
    return answer(
        {
            "object": "vector_store.search_results.page",
            "search_query": queries,
            "data": results,
            "has_more": False,
            "next_page": None,
        }
    )


async def _results(request: web.Request, store: Row, passages: list[Passage]) -> list[Row]:
    """Passages with the file each is of; one whose document went away meanwhile is left out."""
    listed = {passage.document_id for passage in passages}
    rows = await request.app[RAG].engine.read(
        partial(openai_catalog.attached_among, collection=store["collection"], documents=listed)
    )
    documents = {row["document"]: row for row in rows}
    return [
        {
            "file_id": documents[passage.document_id]["id"],
            "filename": documents[passage.document_id]["filename"],
            "score": min(1.0, max(0.0, passage.score)),
            "attributes": documents[passage.document_id]["attributes"],
            "content": [{"type": "text", "text": passage.text}],
        }
        for passage in passages
        if passage.document_id in documents
    ]


def routes() -> list[web.RouteDef]:
    """The endpoints of vector stores, their files and their batches."""

    def of(name: str, handler: Handler) -> Handler:
        return endpoint(name, at_home(handler), encode_error)

    one = "/v1/vector_stores/{store}"
    return [
        web.post("/v1/vector_stores", of("vector_stores_create", _create)),
        web.get("/v1/vector_stores", of("vector_stores_list", _list)),
        web.get(one, of("vector_stores_get", _get)),
        web.post(one, of("vector_stores_update", _update)),
        web.delete(one, of("vector_stores_delete", _delete)),
        web.post(f"{one}/search", of("vector_stores_search", _search)),
        *attachment_routes(),
    ]
