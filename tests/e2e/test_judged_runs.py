"""What an evaluation says of a run is learnt from, in one process and in four that speak HTTP or gRPC."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from intellirouter.peers.contract import Call, Judgement
from intellirouter.roles.keys import CHAT
from intellirouter.security.caller import Caller
from tests.conftest import StartVendor, provider
from tests.roles.chain_engine.test_hooks import receiver
from tests.roles.router.test_learned_routing import SMART
from tests.servers import fault_vendor as faults
from tests.servers.installation import Form, Installation, configured_key, installed
from tests.servers.vendor import Play

SOURCE = """
chain: {name: work}
input: {word: {type: string}}
steps:
  - {id: a, llm: {model: smart, prompt: Name a river.}}
  - {id: b, map: {over: "[1, 2]", as: n, max_items: 2}, do: [{id: c, llm: {model: small/m, prompt: x}, fallback: {llm: {model: smart, prompt: y}}}]}
  - {id: d, llm: {model: nothing/here, prompt: x}, fallback: {llm: {model: smart, prompt: Name a lake.}}}
  - {id: e, agent: {model: smart, prompt: Name a hill., max_rounds: 2}}
output: input.word
"""


async def delivered(place: Installation, count: int) -> None:
    """Return once so many evaluations were told to the Router: what was said of each is kept."""
    deadline = time.monotonic() + 60
    while True:
        _, told = await place.ask("ChainEngine", "author", "GET", "/v1/hooks?status=delivered")
        if len(told["data"]) == count:
            return
        assert time.monotonic() < deadline, told
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("form", ["one", "http", "grpc"])
async def test_the_score_of_a_run_is_that_of_every_answer_it_got(
    form: Form, tmp_path: Path, start_vendor: StartVendor
) -> None:
    small, large = (
        await start_vendor(Play.json(faults.whole())),
        await start_vendor(Play.json(faults.whole())),
    )
    async with receiver() as judge:
        # what is no score is kept with the run, and teaches nothing
        judge.verdict = lambda told: {"score": told["data"]["run"]["output"] == "good" or 7}
        toml = provider(small, name="small") + provider(large, name="large") + SMART
        toml += judge.toml("judge", "evaluate") + "[auth]\nenabled = true\n"
        keys = configured_key("author", scopes="inference chains", tenant="acme")
        async with installed(form, tmp_path / "nodes", toml + keys) as place:
            await place.put_chain("author", "work", SOURCE)
            for word in ("good", "bad"):
                assert (await place.run("author", "work", word=word))["status"] == "succeeded"
            runs = {told["data"]["run"]["output"]: told["data"]["run"]["id"] for told in await judge.until(2)}
            await delivered(place, 2)
            chat = (
                next(iter(place.nodes.values())).opened[CHAT]
                if form == "one"
                else place.nodes["ChainEngine"].opened[CHAT]
            )

            async def judged(run: str, tenant: str, by: str, *paths: str) -> int:
                told = Judgement(tuple(f"req_{runs[run]}/{path}" for path in paths), 0.0, by)
                return await chat.judge(told, Call(Caller(tenant=tenant, key_id="key:author"), "req_x"))

            answers = ("a", "d/fallback", "e[0]")  # those of the group that learns; the others were named
            assert await judged("good", "acme", "judge", *answers) == 0  # once is enough
            assert await judged("bad", "acme", "judge", *answers) == 3  # what is no score taught nothing
            assert await judged("bad", "other", "second", *answers) == 0
            assert await judged("good", "acme", "second", "a", "a", "d", "b[0].c", "nothing") == 1
            body: Any = {
                "request_id": f"req_{runs['good']}/a",
                "score": 0.5,
            }  # a person's word counts beside it
            status, said = await place.ask("Router", "author", "POST", "/v1/feedback", body)
            assert (status, said["learnt"]) == (200, True)
            path = "/ipc/v1/outcomes"  # which is for roles alone
            assert (await place.ask("Router", "author", "POST", path, {}))[0] == 403
            assert (await place.ask("Router", "author", "POST", "/v1/feedback", body))[1]["learnt"] is False
