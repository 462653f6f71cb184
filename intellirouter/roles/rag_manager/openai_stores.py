"""A vector store by its id, and what its files and batches count."""

from __future__ import annotations

from functools import partial

from aiohttp import web

from intellirouter.errors import NotFound
from intellirouter.roles.rag_manager import openai_catalog
from intellirouter.roles.rag_manager.catalog import Row
from intellirouter.roles.rag_manager.keys import RAG
from intellirouter.web.endpoint import CALLER


def public_id(collection: str) -> str:
    """`ir-…` as `vs_…`."""
    return f"vs_{collection.removeprefix('ir-')}"


async def find_store(request: web.Request, id_: str | None = None) -> Row:
    """The caller's vector store of that id, the path's by default. Raises `NotFound`."""
    wanted = request.match_info["store"] if id_ is None else id_
    query = partial(
        openai_catalog.find_store,
        tenant=request[CALLER].tenant,
        collection=f"ir-{wanted.removeprefix('vs_')}",
    )
    row = await request.app[RAG].engine.read(query) if wanted.startswith("vs_") else None
    if row is None or not request[CALLER].may_use_collection(row["collection_name"]):
        raise NotFound(f"There is no vector store '{wanted[:100]}'.", param="vector_store_id")
    return row


def counts(row: Row) -> Row:
    """`file_counts` of a store or batch."""
    return {key: row[key] for key in ("in_progress", "completed", "failed", "cancelled", "total")}
