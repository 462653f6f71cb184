"""A chain as a model: of this process, and of another node's ChainEngine."""

from __future__ import annotations

import hashlib

import aiohttp
import pytest

from tests.conftest import StartNode, StartVendor, provider
from tests.servers.vendor import Play

CHAIN = """
chain: {name: shout}
input: {question: {type: string}}
steps:
  - {id: said, llm: {model: m, prompt: "{{ input.question }}"}}
  - {id: loud, set: {text: "steps.said.text|upper"}}
output: {answer: steps.loud.text}
"""
STUCK = "chain: {name: stuck}\ninput: {question: {type: string}}\nsteps: [{id: w, wait: {signal: never, timeout: 1h}}]"
STOPPED = "chain: {name: stopped}\ninput: {question: {type: string}}\nsteps: [{id: s, llm: {model: m, prompt: 'of coal'}}]"
BROKEN = "chain: {name: broken}\ninput: {question: {type: string}}\nsteps: [{id: s, set: {n: 'input.question[3].x'}}]"
GUARD = '[[guards]]\nname = "mine"\nkind = "keywords"\nwords = ["coal"]\n'
SAID = {
    "id": "c",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4},
}
KEY = {"authorization": "Bearer ann"}
AUTH = (
    '[auth]\nenabled = true\n[[auth.keys]]\nname = "ann"\ntenant = "acme"\nscopes = ["inference", "chains"]\n'
    f'sha256 = "{hashlib.sha256(b"ann").hexdigest()}"\n'
)
TRUST = '[ipc.security]\nenabled = true\ntoken = "shared"\n'


@pytest.mark.parametrize("where", ["here", "another node"])
async def test_a_chain_answers_as_a_model(
    where: str, start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    vendor = provider(await start_vendor(Play.json(SAID))) + GUARD
    if where == "here":
        node = await start_node(AUTH + vendor, role="All")
        urls = {listening.role: listening.url for listening in node.listening}
    else:
        models = await start_node(AUTH + TRUST + vendor)
        engine = await start_node(
            f'[ipc]\nrouter_endpoint = "{models.listening[0].url}"\n' + TRUST + AUTH, role="ChainEngine"
        )
        router = await start_node(
            f'[ipc]\nchain_engine_endpoint = "{engine.listening[0].url}"\n' + TRUST + AUTH + vendor
        )
        urls = {"ChainEngine": engine.listening[0].url, "Router": router.listening[0].url}
    for name, source in (("shout", CHAIN), ("stuck", STUCK), ("stopped", STOPPED), ("broken", BROKEN)):
        async with http.put(
            f"{urls['ChainEngine']}/v1/chains/{name}", json={"source": source}, headers=KEY
        ) as reply:
            assert reply.status == 201, await reply.text()
    chat = f"{urls['Router']}/v1/chat/completions"
    body = {"model": "chain/shout", "messages": [{"role": "user", "content": "Hi"}]}
    async with http.post(chat, json=body, headers=KEY) as reply:
        answer = await reply.json()
        assert reply.status == 200, answer
        assert reply.headers["x-intellirouter-run"].startswith("run_")
    assert answer["choices"][0]["message"]["content"] == "HELLO"
    assert (answer["model"], answer["usage"]["total_tokens"]) == ("chain/shout", 4)
    async with http.post(chat, json=body | {"stream": True}, headers=KEY) as reply:
        assert "HELLO" in await reply.text()
    async with http.post(chat, json=body | {"model": "chain/gone"}, headers=KEY) as reply:
        assert reply.status == 404
    late = {"model": "chain/stuck", "intellirouter": {"timeout": 0.5}}
    async with http.post(chat, json=body | late, headers=KEY) as reply:
        assert reply.status in (503, 504), await reply.text()
    async with http.get(f"{urls['ChainEngine']}/v1/runs?chain=stuck", headers=KEY) as reply:
        (run,) = (await reply.json())["data"]
    assert run["status"] == "cancelled"
    for chain, status, code in (("stopped", 400, "guard_blocked"), ("broken", 422, "chain_failed")):
        async with http.post(chat, json=body | {"model": f"chain/{chain}"}, headers=KEY) as reply:
            told = (await reply.json())["error"]
            assert (reply.status, told["code"]) == (status, code), (
                "whose fault it is, as if the model had been asked"
            )
