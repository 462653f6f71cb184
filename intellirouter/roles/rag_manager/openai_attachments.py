"""The files of a vector store, one by one and in batches."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, Any, Literal

import msgspec
from aiohttp import web

from intellirouter.chat.openai_chat.errors import encode_error
from intellirouter.errors import InvalidRequest, NotFound
from intellirouter.roles.rag_manager import catalog, openai_catalog
from intellirouter.roles.rag_manager.assist.contexts import SUMMARY
from intellirouter.roles.rag_manager.catalog import Row
from intellirouter.roles.rag_manager.cluster.forwarding import at_home
from intellirouter.roles.rag_manager.entries import document_row, new_job
from intellirouter.roles.rag_manager.keys import RAG
from intellirouter.roles.rag_manager.openai_forms import answer, check_pairs, read_form
from intellirouter.roles.rag_manager.openai_pages import page_body, page_of, read_page
from intellirouter.roles.rag_manager.openai_stores import counts, find_store, public_id
from intellirouter.web.endpoint import CALLER, Handler, endpoint

MAX_BATCH = 2000
Attributes = dict[str, str | int | float | bool]
_STATUS = {"queued": "in_progress", "ready": "completed", "failed": "failed", "cancelled": "cancelled"}


class _Static(msgspec.Struct, forbid_unknown_fields=True):
    max_chunk_size_tokens: Annotated[int, msgspec.Meta(ge=100, le=4096)]
    chunk_overlap_tokens: Annotated[int, msgspec.Meta(ge=0)]


class _Strategy(msgspec.Struct, forbid_unknown_fields=True):
    type: Literal["static"]
    static: _Static


class AttachForm(msgspec.Struct, forbid_unknown_fields=True):
    """A file to attach."""

    file_id: str
    attributes: Attributes | None = None
    chunking_strategy: dict[str, Any] | None = None


class BatchForm(msgspec.Struct, forbid_unknown_fields=True):
    """Files to attach together: `file_ids` with common attributes, or `files` with their own."""

    file_ids: list[str] | None = None
    files: list[AttachForm] | None = None
    attributes: Attributes | None = None
    chunking_strategy: dict[str, Any] | None = None


class AttributesForm(msgspec.Struct, forbid_unknown_fields=True):
    """New attributes of a file."""

    attributes: Attributes | None


async def attach(
    request: web.Request,
    store: Row,
    forms: Sequence[AttachForm],
    batch: str | None = None,
    before: Callable[[sqlite3.Connection], None] | None = None,
) -> None:
    """Queue the files, all or none, in one transaction with `before`. Raises `NotFound` for a file that is not the caller's."""
    service, tenant = request.app[RAG], request[CALLER].tenant
    for form in forms:
        cut_of(form.chunking_strategy)
        check_pairs(form.attributes or {}, "attributes", (str, float, int, bool))
    wanted = {form.file_id: form for form in forms}
    async with service.blob_lock:
        query = partial(openai_catalog.find_files, caller=request[CALLER], ids=list(wanted))
        files = {row["id"]: row for row in await service.engine.read(query)}
        for id_ in wanted:
            if id_ not in files:
                raise NotFound(f"There is no file '{id_[:100]}'.", param="file_id")
        await service.shelf.room(tenant, "documents", len(wanted))
        await service.shelf.room(tenant, "rag_bytes", sum(files[id_]["bytes"] for id_ in wanted))
        documents = [
            (
                id_,
                _document(store["collection"], files[id_], form),
                new_job(),
                cut_of(form.chunking_strategy),
            )
            for id_, form in wanted.items()
        ]
        write = partial(
            openai_catalog.attach,
            tenant=tenant,
            documents=documents,
            batch=batch,
            collection=store["collection"],
            owner=request[CALLER].owner(),
        )

        def together(db: sqlite3.Connection) -> None:
            if before is not None:
                before(db)
            write(db)

        await service.engine.write(together)
    service.queue.wake()


def cut_of(strategy: dict[str, Any] | None) -> openai_catalog.Cut:
    """What a chunking strategy asks for. Raises `InvalidRequest` naming the field."""
    if strategy is None or strategy == {"type": "auto"}:
        return None
    try:
        wanted = msgspec.convert(strategy, _Strategy).static
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"{error}.", param="chunking_strategy") from error
    if wanted.chunk_overlap_tokens * 2 > wanted.max_chunk_size_tokens:
        raise InvalidRequest(
            "'chunk_overlap_tokens' is at most half of 'max_chunk_size_tokens'.",
            param="chunking_strategy.static.chunk_overlap_tokens",
        )
    return wanted.max_chunk_size_tokens, wanted.chunk_overlap_tokens


def _document(collection: str, file: Row, form: AttachForm) -> Row:
    name = f"{file['id']}/{file['filename']}"
    return document_row(collection, name, file["sha256"], file["bytes"], form.attributes or {})


def _attached(row: Row, store: Row) -> Row:
    error = None
    if row["status"] == "failed":
        its_own = (row["error"] or "").startswith("'")  # what is wrong with a document begins with its name
        error = {"code": "invalid_file" if its_own else "server_error", "message": row["error"] or ""}
    return {
        "id": row["id"],
        "object": "vector_store.file",
        "usage_bytes": row["bytes"] if row["status"] == "ready" else 0,
        "created_at": int(row["created"]),
        "vector_store_id": public_id(store["collection"]),
        "status": _STATUS[row["status"]],
        "last_error": error,
        "attributes": row["attributes"],
        "chunking_strategy": _strategy(row),
    }


def _strategy(row: Row) -> Row:
    if row["chunk_tokens"] is None:
        return {"type": "other"}
    sizes = {"max_chunk_size_tokens": row["chunk_tokens"], "chunk_overlap_tokens": row["overlap_tokens"]}
    return {"type": "static", "static": sizes}


async def _add(request: web.Request) -> web.StreamResponse:
    """Put a file into a vector store."""
    store = await find_store(request)
    form = await read_form(request, AttachForm)
    await attach(request, store, [form])
    return answer(_attached(await _find(request, store, form.file_id), store))


async def _find(request: web.Request, store: Row, id_: str) -> Row:
    query = partial(openai_catalog.find_attached, collection=store["collection"], id_=id_)
    row = await request.app[RAG].engine.read(query)
    if row is None:
        raise NotFound(f"There is no file '{id_[:100]}' in this vector store.", param="file_id")
    return row


async def _list(request: web.Request) -> web.StreamResponse:
    """The files of a vector store."""
    store = await find_store(request)
    batch = (await _batch_of(request, store))["id"] if "batch" in request.match_info else None
    status = None
    if (wanted := request.query.get("filter")) is not None:
        status = next((ours for ours, theirs in _STATUS.items() if theirs == wanted), None)
        if status is None:
            raise InvalidRequest(f"'filter' is one of: {', '.join(_STATUS.values())}.", param="filter")
    listing = openai_catalog.attached(store["collection"], batch, status)
    rows, more = await request.app[RAG].engine.read(
        partial(read_page, listing=listing, page=page_of(request))
    )
    return answer(page_body([_attached(row, store) for row in openai_catalog.with_attributes(rows)], more))


async def _get(request: web.Request) -> web.StreamResponse:
    """One file of a vector store."""
    store = await find_store(request)
    return answer(_attached(await _find(request, store, request.match_info["file"]), store))


async def _content(request: web.Request) -> web.StreamResponse:
    """What was read of a file in a vector store, passage by passage; what a model wrote about it is none of it."""
    store = await find_store(request)
    row = await _find(request, store, request.match_info["file"])
    texts = await request.app[RAG].engine.read(
        partial(catalog.texts_of, document=row["document"], without=SUMMARY)
    )
    return answer(
        {
            "object": "vector_store.file_content.page",
            "data": [{"type": "text", "text": text} for text in texts],
            "has_more": False,
            "next_page": None,
        }
    )


async def _update(request: web.Request) -> web.StreamResponse:
    """Change the attributes of a file in a vector store."""
    store = await find_store(request)
    row = await _find(request, store, request.match_info["file"])
    attributes = (await read_form(request, AttributesForm)).attributes or {}
    check_pairs(attributes, "attributes", (str, float, int, bool))
    write = partial(
        openai_catalog.set_attributes,
        collection=store["collection"],
        document=row["document"],
        attributes=attributes,
    )
    await request.app[RAG].engine.write(write)
    return answer(_attached(row | {"attributes": attributes}, store))


async def _remove(request: web.Request) -> web.StreamResponse:
    """Take a file out of a vector store; the file itself stays."""
    store = await find_store(request)
    row = await _find(request, store, request.match_info["file"])
    await request.app[RAG].remove_document(store["collection"], row["document"])
    return answer({"id": row["id"], "object": "vector_store.file.deleted", "deleted": True})


async def _add_batch(request: web.Request) -> web.StreamResponse:
    """Put several files into a vector store."""
    store = await find_store(request)
    form = await read_form(request, BatchForm)
    if (form.file_ids is None) == (form.files is None):
        raise InvalidRequest("A batch has either 'file_ids' or 'files'.", param="file_ids")
    forms = form.files or [
        AttachForm(id_, form.attributes, form.chunking_strategy) for id_ in form.file_ids or ()
    ]
    if not 1 <= len(forms) <= MAX_BATCH:
        raise InvalidRequest(f"A batch has 1 to {MAX_BATCH} files.", param="file_ids")
    id_ = f"vsfb_{secrets.token_hex(12)}"
    await attach(request, store, forms, id_)
    return answer(_batch(await _batch_of(request, store, id_), store))


async def _batch_of(request: web.Request, store: Row, id_: str | None = None) -> Row:
    wanted = request.match_info["batch"] if id_ is None else id_
    query = partial(openai_catalog.find_batch, collection=store["collection"], batch=wanted)
    row = await request.app[RAG].engine.read(query)
    if row is None:
        raise NotFound(f"There is no batch '{wanted[:100]}' in this vector store.", param="batch_id")
    return row


def _batch(row: Row, store: Row) -> Row:
    if row["in_progress"]:
        status = "in_progress"
    elif row["stopped"]:
        status = "cancelled"
    else:
        status = "failed" if row["failed"] and row["failed"] == row["total"] else "completed"
    return {
        "id": row["id"],
        "object": "vector_store.file_batch",
        "created_at": int(row["created"]),
        "vector_store_id": public_id(store["collection"]),
        "status": status,
        "file_counts": counts(row),
    }


async def _get_batch(request: web.Request) -> web.StreamResponse:
    """How far a batch of files is."""
    store = await find_store(request)
    return answer(_batch(await _batch_of(request, store), store))


async def _cancel_batch(request: web.Request) -> web.StreamResponse:
    """Stop a batch of files."""
    store = await find_store(request)
    row = await _batch_of(request, store)
    service = request.app[RAG]
    await service.engine.write(
        partial(openai_catalog.cancel_batch, tenant=request[CALLER].tenant, batch=row["id"])
    )
    await service.queue.tell()
    return answer(_batch(await _batch_of(request, store), store))


def attachment_routes() -> list[web.RouteDef]:
    """The endpoints of this module."""

    def of(name: str, handler: Handler, *, recorded: bool = True) -> Handler:
        return endpoint(name, at_home(handler), encode_error, recorded=recorded)

    files, batches = "/v1/vector_stores/{store}/files", "/v1/vector_stores/{store}/file_batches"
    return [
        web.post(files, of("vector_store_files_create", _add)),
        web.get(files, of("vector_store_files_list", _list)),
        web.get(files + "/{file}", of("vector_store_files_get", _get, recorded=False)),
        web.get(files + "/{file}/content", of("vector_store_files_content", _content)),
        web.post(files + "/{file}", of("vector_store_files_update", _update)),
        web.delete(files + "/{file}", of("vector_store_files_delete", _remove)),
        web.post(batches, of("vector_store_batches_create", _add_batch)),
        web.get(batches + "/{batch}", of("vector_store_batches_get", _get_batch, recorded=False)),
        web.post(batches + "/{batch}/cancel", of("vector_store_batches_cancel", _cancel_batch)),
        web.get(batches + "/{batch}/files", of("vector_store_batches_files", _list)),
    ]
