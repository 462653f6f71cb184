"""`/v1/chains`: store, read, list, delete and check definitions; `/v1/nodes`."""

from __future__ import annotations

import asyncio
import functools
from typing import Any

import msgspec
import sqlalchemy as sa
from aiohttp import web

from intellirouter.bounds.aside import ASIDE
from intellirouter.chains.source import MAX_CHARACTERS, Document, InvalidChain, read
from intellirouter.chat import fields
from intellirouter.chat.fields import Json
from intellirouter.chat.openai_chat.errors import encode_error
from intellirouter.errors import InvalidRequest, StateUnavailable
from intellirouter.roles.chain_engine.keys import ENGINE
from intellirouter.roles.chain_engine.store import StoredChain
from intellirouter.web.body import read_json
from intellirouter.web.endpoint import CALLER, Handler, endpoint

MAX_BODY = 4 * MAX_CHARACTERS
"""Bytes of a request with a definition."""


def answer(body: object, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """A JSON answer."""
    return web.Response(
        status=status, body=msgspec.json.encode(body), content_type="application/json", headers=headers
    )


def framed(name: str, handler: Handler, query: tuple[str, ...] = (), *, recorded: bool = True) -> Handler:
    """A handler of this role in its frame. `query` names the parameters that it reads; `recorded` as `endpoint` has it."""

    @functools.wraps(handler)
    async def reached(request: web.Request) -> web.StreamResponse:
        if request.app[ENGINE].away:  # said at once: nobody waits for a database that does not answer
            raise _away()
        try:
            return await handler(request)
        except (sa.exc.OperationalError, sa.exc.InterfaceError, sa.exc.TimeoutError) as cause:
            raise _away() from cause

    return endpoint(f"chains_{name}", reached, encode_error, query=query, recorded=recorded)


def _away() -> StateUnavailable:
    return StateUnavailable(
        "The database of the chains does not answer; what runs is taken up when it is back."
    )


def only(body: Json, *known: str) -> Json:
    """The body. Raises `InvalidRequest` for a field that nobody would read."""
    for name in body:
        if name not in known:
            raise InvalidRequest(
                f"The request has no field '{name[:60]}'. Fields: {', '.join(known)}.", param=name[:60]
            )
    return body


async def _document(request: web.Request, name: str, *more: str) -> tuple[Document, Json]:
    """The definition of a request, and its body, which may have `more` fields."""
    body = only(await read_json(request, MAX_BODY), "definition", "source", "format", *more)
    return await _written(request, body, name), body


async def _written(request: web.Request, body: Json, name: str) -> Document:
    definition = fields.mapping(body, "definition")
    if definition is not None:
        return Document(name, definition)
    form = fields.one_of(body, "format", {"yaml", "toml", "json"}) or "yaml"
    source = fields.required_text(body, "source")
    if len(source) > MAX_CHARACTERS:  # said before anything is begun
        return read(source, f"{name}.{form}")
    return await ASIDE.run(request[CALLER].tenant, lambda: read(source, f"{name}.{form}"))


def summary(chain: StoredChain) -> Json:
    """A stored chain in a list."""
    head: dict[str, Any] = chain.document["chain"]
    return {
        "id": chain.name,
        "object": "chain",
        "version": head.get("version", 1),
        "revision": chain.revision,
        "trial": chain.trial,
        "share": chain.share,
        "description": head.get("description", ""),
        "input": chain.document.get("input", {}),
        "created_at": round(chain.created, 3),
        "updated_at": round(chain.updated, 3),
    }


def share_of(body: Json) -> float | None:
    """`share`, percent of runs. Raises `InvalidRequest`."""
    share = fields.number(body, "share")
    if share is not None and not 0 < share <= 100:
        raise InvalidRequest("'share' is a percentage above 0 and up to 100.", param="share")
    return share


async def list_chains(request: web.Request) -> web.StreamResponse:
    """Every chain of the tenant."""
    service, caller = request.app[ENGINE], request[CALLER]
    found = await asyncio.to_thread(service.store.chains, caller.tenant)
    return answer(
        {"object": "list", "data": [summary(chain) for chain in found if caller.may_use_chain(chain.name)]}
    )


async def get_chain(request: web.Request) -> web.StreamResponse:
    """One chain, with its definition."""
    chain = await request.app[ENGINE].library.get(request[CALLER], request.match_info["name"])
    return answer({**summary(chain), "definition": chain.document})


async def put_chain(request: web.Request) -> web.StreamResponse:
    """Make or replace one: `source` with its `format` (yaml, toml or json), or `definition` as an object.

    With a `share` only that percentage of the runs of a chain that is there tries it.
    """
    name = request.match_info["name"]
    document, body = await _document(request, name, "share")
    share = share_of(body)
    library = request.app[ENGINE].library
    chain, new = await library.put(request[CALLER], name, document, None if share == 100 else share)
    return answer(summary(chain), 201 if new else 200)


async def delete_chain(request: web.Request) -> web.StreamResponse:
    """Remove one; its runs go on."""
    name = request.match_info["name"]
    await request.app[ENGINE].library.delete(request[CALLER], name)
    return answer({"id": name, "object": "chain", "deleted": True})


async def validate(request: web.Request) -> web.StreamResponse:
    """Whether a definition holds, and if not, everything that is wrong with it, with lines and paths."""
    try:
        document, _ = await _document(request, "chain")
        chain = await request.app[ENGINE].library.checked(request[CALLER], document)
    except InvalidChain as error:
        return answer({"valid": False, "problems": [str(problem) for problem in error.problems]})
    except InvalidRequest as error:
        if error.param is not None:  # the request is wrong, not the definition
            raise
        return answer({"valid": False, "problems": [error.message]})
    return answer({"valid": True, "name": chain.name, "version": chain.version, "problems": []})


async def nodes(request: web.Request) -> web.StreamResponse:
    """The nodes that share the runs' database."""
    service = request.app[ENGINE]
    found = await asyncio.to_thread(service.nodes)
    return answer({"object": "list", "data": found, "under_way_here": service.under_way})


async def queue(request: web.Request) -> web.StreamResponse:
    """The caller's runs that wait in line, by queue, and how many of them do something on this node."""
    service = request.app[ENGINE]
    found = await asyncio.to_thread(service.line.waiting, request[CALLER].tenant)
    return answer({"object": "list", "data": found, "max_running": service.section.max_running})


def routes() -> list[web.RouteDef]:
    """The endpoints of this module."""
    one = "/v1/chains/{name}"
    return [
        web.get("/v1/chains", framed("list", list_chains)),
        web.post("/v1/chains/validate", framed("validate", validate)),
        web.get(one, framed("get", get_chain)),
        web.put(one, framed("put", put_chain)),
        web.delete(one, framed("delete", delete_chain)),
        web.get("/v1/nodes", framed("nodes", nodes)),
        web.get("/v1/queue", framed("queue", queue)),
    ]
