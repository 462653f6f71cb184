"""`/v1/chains/{name}/versions`, `diff`, `rollback` and `rollout`: what a chain said before, and which share of its runs tries another version."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any

from aiohttp import web

from intellirouter.bounds.aside import ASIDE
from intellirouter.chains.compare import changes, told
from intellirouter.chat import fields
from intellirouter.errors import InvalidRequest
from intellirouter.roles.chain_engine.api import answer, framed, only, share_of, summary
from intellirouter.roles.chain_engine.keys import ENGINE
from intellirouter.web.body import read_json
from intellirouter.web.endpoint import CALLER

if TYPE_CHECKING:  # every process imports this module, and must not pay for dbos
    from intellirouter.roles.chain_engine.service import ChainService
    from intellirouter.roles.chain_engine.store import StoredChain

LOOKED = 100
"""Of the newest runs of a version, how many its outcomes are counted in."""


async def listed(request: web.Request) -> web.StreamResponse:
    """Every version, the newest first, with how the last runs of those that run ended."""
    service, caller = request.app[ENGINE], request[CALLER]
    chain, found = await service.library.versions(caller, request.match_info["name"])
    shown = []
    for each in found:
        state = "live" if each.revision == chain.revision else "trial" if each.revision == chain.trial else ""
        facts: dict[str, Any] = {
            "revision": each.revision,
            "version": each.document["chain"].get("version", 1),
            "state": state or "kept",
            "share": _share(chain, state),
            "created_at": round(each.created, 3),
            "author": each.author,
        }
        if state:
            facts["runs"] = await _outcomes(service, caller.tenant, chain, each.revision)
        shown.append(facts)
    return answer({"object": "list", "chain": chain.name, "data": shown})


def _share(chain: StoredChain, state: str) -> float:
    tried = (chain.share or 0.0) if chain.trial is not None else 0.0
    return {"live": 100.0 - tried, "trial": tried}.get(state, 0.0)


async def _outcomes(service: ChainService, tenant: str, chain: StoredChain, revision: int) -> dict[str, int]:
    ids = await asyncio.to_thread(service.library.history.runs_of, tenant, chain.name, revision, LOOKED)
    rows = [row for row in [await asyncio.to_thread(service.store.run, run_id) for run_id in ids] if row]
    return dict(Counter(run["status"] for run in await service.shown(*rows)))


async def one(request: web.Request) -> web.StreamResponse:
    """One version, with its definition."""
    name, revision = request.match_info["name"], _number(request.match_info["revision"], "revision")
    found = await request.app[ENGINE].library.version(request[CALLER], name, revision)
    return answer(
        {
            "chain": name,
            "revision": found.revision,
            "created_at": round(found.created, 3),
            "author": found.author,
            "definition": found.document,
        }
    )


async def diff(request: web.Request) -> web.StreamResponse:
    """What differs between the revisions `from` (the one before `to`) and `to` (the one that runs), place by place and as a text."""
    library, caller, name = request.app[ENGINE].library, request[CALLER], request.match_info["name"]
    given = {key: _number(request.query[key], key) for key in ("from", "to") if key in request.query}
    new = await library.version(caller, name, given.get("to"))
    before = given.get("from")
    if before is None:
        _, known = await library.versions(caller, name)
        before = max((each.revision for each in known if each.revision < new.revision), default=new.revision)
    old = await library.version(caller, name, before)
    found = await ASIDE.run(caller.tenant, lambda: changes(old.document, new.document))
    return answer(
        {
            "chain": name,
            "from": old.revision,
            "to": new.revision,
            "changes": [change.shown() for change in found],
            "text": await ASIDE.run(caller.tenant, lambda: told(found)),
        }
    )


async def roll_back(request: web.Request) -> web.StreamResponse:
    """Let `revision` run again; runs under way go on with what they were started with."""
    body = only(await read_json(request), "revision")
    revision = fields.integer(body, "revision", least=1)
    if revision is None:
        fields.missing("revision")
    name = request.match_info["name"]
    return answer(summary(await request.app[ENGINE].library.roll_back(request[CALLER], name, revision)))


async def roll_out(request: web.Request) -> web.StreamResponse:
    """Let a `share` (percent) of runs try `revision`; at 100 it is the one that runs."""
    body = only(await read_json(request), "revision", "share")
    revision, share = fields.integer(body, "revision", least=1), share_of(body)
    if revision is None:
        fields.missing("revision")
    if share is None:
        fields.missing("share")
    name, library = request.match_info["name"], request.app[ENGINE].library
    return answer(summary(await library.roll_out(request[CALLER], name, revision, share)))


async def end_trial(request: web.Request) -> web.StreamResponse:
    """Let no run try another version any more."""
    name, library = request.match_info["name"], request.app[ENGINE].library
    return answer(summary(await library.roll_out(request[CALLER], name, None, None)))


def _number(text: str, name: str) -> int:
    if not text.isdecimal() or len(text) > 9:
        raise InvalidRequest(f"'{name}' is the number of a version.", param=name)
    return int(text)


def routes() -> list[web.RouteDef]:
    """The endpoints of this module."""
    chain = "/v1/chains/{name}"
    return [
        web.get(f"{chain}/versions", framed("versions", listed)),
        web.get(chain + "/versions/{revision}", framed("version", one)),
        web.get(f"{chain}/diff", framed("diff", diff, query=("from", "to"))),
        web.post(f"{chain}/rollback", framed("rollback", roll_back)),
        web.put(f"{chain}/rollout", framed("rollout", roll_out)),
        web.delete(f"{chain}/rollout", framed("rollout_end", end_trial)),
    ]
