"""`POST /ipc/v1/outcomes`: another role tells what became of answers that it had asked for. They are learnt from as feedback is."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import msgspec
from aiohttp import web

from intellirouter.chat.openai_chat.errors import encode_error
from intellirouter.inference.evidence import evidence
from intellirouter.inference.learning.outcome import FEEDBACK
from intellirouter.inference.school import School
from intellirouter.peers.contract import Judgement
from intellirouter.peers.documents import judgement_of
from intellirouter.peers.http_chat import OUTCOMES_PATH
from intellirouter.records.records import Records
from intellirouter.records.store import Store
from intellirouter.roles.keys import RECORDS
from intellirouter.roles.router.keys import SCHOOL
from intellirouter.web.body import read_json
from intellirouter.web.endpoint import CALLER, endpoint


@dataclass(frozen=True, slots=True)
class Judging:
    """Where judgements go: what is learnt, and the record where there is one."""

    school: School
    records: Records | None

    async def take(self, tenant: str, judged: Judgement) -> int:
        """How many requests of the tenant were learnt from; said again by the same judge, none. Raises `StateUnavailable`."""
        learnt = await asyncio.gather(
            *(self._learn(tenant, request_id, judged) for request_id in dict.fromkeys(judged.request_ids))
        )
        if self.records is not None:
            await self.records.ask(lambda store: _attach(store, tenant, judged))
        return sum(learnt)

    async def _learn(self, tenant: str, request_id: str, judged: Judgement) -> bool:
        kept = await self.school.find(tenant, request_id, "")
        if kept is None:  # of a model that was named, or more than a week old
            return False
        name = f"{kept.request_id}:{FEEDBACK}:{judged.by}"
        return await self.school.give(tenant, name, evidence(kept, FEEDBACK, judged.score, name))


def _attach(store: Store, tenant: str, judged: Judgement) -> None:
    """Note the score with the requests of which nobody said anything yet: what people say goes before."""
    for request_id in judged.request_ids:
        rows = store.get(request_id, tenant)
        if rows and all(row.feedback is None for row in rows):
            last = max(rows, key=lambda row: row.seconds)
            store.give_feedback(last.id, {"score": judged.score, "by": judged.by})


async def outcomes(request: web.Request) -> web.StreamResponse:
    """Learn from a judgement of requests of the caller's tenant; `learnt` says of how many."""
    judging = Judging(request.app[SCHOOL], request.app[RECORDS])
    learnt = await judging.take(request[CALLER].tenant, judgement_of(await read_json(request)))
    return web.Response(body=msgspec.json.encode({"learnt": learnt}), content_type="application/json")


def routes() -> list[web.RouteDef]:
    """The endpoint of this module."""
    return [web.post(OUTCOMES_PATH, endpoint("outcomes", outcomes, encode_error))]
