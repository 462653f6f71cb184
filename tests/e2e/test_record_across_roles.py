"""A request that crosses roles is one session in the record, in one process and between nodes that share a Postgres."""

from __future__ import annotations

import contextlib

import aiohttp
import pytest

from tests.conftest import StartNode, StartVendor, provider
from tests.e2e.test_chain_model import AUTH, KEY, TRUST
from tests.roles.router.test_chat import ANSWER
from tests.roles.router.test_records import recorded
from tests.servers.postgres import postgres
from tests.servers.vendor import Play

STEPS = """
chain: {name: twice}
input: {question: {type: string}}
steps:
  - {id: a, llm: {model: primary/m, prompt: "{{ input.question }}"}}
  - {id: b, llm: {model: primary/m, prompt: "{{ steps.a.text }}"}}
output: {answer: steps.b.text}
"""


@pytest.mark.timeout(300)
@pytest.mark.parametrize("where", ["one process", "nodes"])
async def test_a_chain_as_a_model_is_one_session_with_its_steps_and_counts_its_tokens_once(
    where: str, start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    vendor = provider(await start_vendor(Play.json(ANSWER)))
    with contextlib.ExitStack() as stack:
        if where == "one process":
            router = await start_node(AUTH + vendor, role="All")
            urls = {listening.role: listening.url for listening in router.listening}
        else:
            shared = TRUST + AUTH + f'[records]\ndatabase_url = "{stack.enter_context(postgres())}"\n'
            models = await start_node(vendor + shared)
            engine = await start_node(
                f'[ipc]\nrouter_endpoint = "{models.listening[0].url}"\n' + shared, role="ChainEngine"
            )
            router = await start_node(
                f'[ipc]\nchain_engine_endpoint = "{engine.listening[0].url}"\n' + vendor + shared
            )
            urls = {"Router": router.listening[0].url, "ChainEngine": engine.listening[0].url}
        async with http.put(
            f"{urls['ChainEngine']}/v1/chains/twice", json={"source": STEPS}, headers=KEY
        ) as reply:
            assert reply.status == 201, await reply.text()
        body = {"model": "chain/twice", "messages": [{"role": "user", "content": "Hi"}]}
        named = {**KEY, "x-session-id": "mine"}
        async with http.post(f"{urls['Router']}/v1/chat/completions", json=body, headers=named) as reply:
            assert reply.status == 200, await reply.text()
            run = reply.headers["x-intellirouter-run"]
        await recorded(http, router, "?model=primary/m", KEY, until=lambda rows: len(rows) == 2)
        await recorded(http, router, "?model=chain/twice", KEY)
        for name in ("mine", run):
            async with http.get(f"{urls['Router']}/admin/sessions/{name}", headers=KEY) as reply:
                told = await reply.json()
            models_asked = [row["model"] for row in told["data"] if row["model"]]
            assert sorted(models_asked) == ["chain/twice", "primary/m", "primary/m"], told
            assert (told["input_tokens"], told["output_tokens"]) == (18, 6), "what the steps used, once"
            assert {row["tenant"] for row in told["data"]} == {"acme"}
        if where == "nodes":
            assert {row["role"] for row in told["data"]} == {"Router", "ChainEngine"}
