"""`/rag/v1/sources`: the places that the tenant's collections follow, and how the last look at each went."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

from intellirouter.chat.openai_chat.errors import encode_error
from intellirouter.config.schema.rag_sources import RagSource
from intellirouter.errors import InvalidRequest, NotFound
from intellirouter.roles.rag_manager.cluster.forwarding import at_source, everywhere
from intellirouter.roles.rag_manager.keys import RAG
from intellirouter.roles.rag_manager.sources.timetable import Wish
from intellirouter.web.endpoint import CALLER, endpoint

_WISHES = ("anew", "remove")


def _json(body: object, status: int = 200) -> web.Response:
    return web.Response(status=status, body=msgspec.json.encode(body), content_type="application/json")


async def _sources(request: web.Request) -> web.StreamResponse:
    """The tenant's sources, with how the last look at each went."""
    caller = request[CALLER]
    rows = await request.app[RAG].sources.shown(caller.tenant)
    return _json({"sources": [row for row in rows if caller.may_use_collection(row["collection"])]})


def _together(body: dict[str, Any], _request: web.Request) -> dict[str, Any]:
    """Of each source what the node says that has looked at it last."""
    rows: dict[str, dict[str, Any]] = {}
    for row in body["sources"]:
        known = rows.setdefault(row["name"], row)
        if _looked(row) > _looked(known):
            rows[row["name"]] = row
    return {**body, "sources": list(rows.values())}


def _looked(row: dict[str, Any]) -> float:
    return float(row["last"]["started"]) if row["last"] else 0.0


def _named(request: web.Request) -> RagSource:
    """The path's source. Raises `NotFound`, for one of a collection that the key may not use too."""
    caller, name = request[CALLER], request.match_info["source"]
    section = request.app[RAG].sources.section(caller.tenant, name)
    if not caller.may_use_collection(section.collection):
        raise NotFound(f"There is no source '{name[:100]}'.")
    return section


async def _source(request: web.Request) -> web.StreamResponse:
    """One source, with what of it could not be listed, fetched or read."""
    section = _named(request)
    return _json(await request.app[RAG].sources.one(section.tenant, section.name))


async def _sync(request: web.Request) -> web.StreamResponse:
    """Look at a source as soon as may be: `?anew=true` fetches what is unchanged too, `?remove=true` removes however much is gone."""
    section = _named(request)
    wish = Wish(*(_switch(request, name) for name in _WISHES))
    request.app[RAG].sources.ask(section.tenant, section.name, wish)
    return _json({"name": section.name, "asked": True}, 202)


def _switch(request: web.Request, name: str) -> bool:
    said = request.query.get(name, "false").lower()
    if said not in ("true", "false"):
        raise InvalidRequest(f"'{name}' must be true or false.", param=name)
    return said == "true"


def routes() -> list[web.RouteDef]:
    """The endpoints of this module."""
    one = "/rag/v1/sources/{source}"
    return [
        web.get("/rag/v1/sources", endpoint("rag_sources", everywhere(_sources, _together), encode_error)),
        web.get(one, endpoint("rag_source", at_source(_source), encode_error, recorded=False)),
        web.post(f"{one}/sync", endpoint("rag_source_sync", at_source(_sync), encode_error)),
    ]
