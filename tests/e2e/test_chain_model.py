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


async def placed(start_node: StartNode, where: str, vendor: str) -> dict[str, str]:
    """The addresses of the Router and the ChainEngine: of one process, or of nodes that trust one another, or nobody."""
    if where == "here":
        node = await start_node(AUTH + vendor, role="All")
        return {listening.role: listening.url for listening in node.listening}
    trust = TRUST + AUTH if where == "another node" else ""
    models = await start_node(trust + vendor)
    engine = await start_node(
        f'[ipc]\nrouter_endpoint = "{models.listening[0].url}"\n' + trust, role="ChainEngine"
    )
    router = await start_node(
        f'[ipc]\nchain_engine_endpoint = "{engine.listening[0].url}"\n' + trust + vendor
    )
    return {"ChainEngine": engine.listening[0].url, "Router": router.listening[0].url}


@pytest.mark.parametrize("where", ["here", "another node"])
async def test_a_chain_answers_as_a_model(
    where: str, start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    vendor = provider(await start_vendor(Play.json(SAID))) + GUARD
    urls = await placed(start_node, where, vendor)
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
    async with http.post(chat, json={**body, "n": 2}, headers=KEY) as reply:
        assert "'n' was not heeded" in reply.headers["x-intellirouter-notes"]
    said = {"stream": True, "max_tokens": 9}
    async with http.post(f"{urls['Router']}/v1/messages", json={**body, **said}, headers=KEY) as reply:
        assert '"usage":{"input_tokens":3,"output_tokens":1' in await reply.text()
    picture = [{"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}]
    wordless = {**body, "messages": [{"role": "user", "content": picture}]}
    async with http.post(chat, json=wordless, headers=KEY) as reply:
        assert (reply.status, "there is none" in await reply.text()) == (400, True)
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


@pytest.mark.parametrize("where", ["here", "another node", "a node that trusts nobody"])
@pytest.mark.parametrize("model", ["chain/round", "persona/analyst"])
async def test_a_step_asks_models_alone(
    where: str, model: str, start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    """A step that asked its own chain would start runs without end."""
    vendor = await start_vendor(Play.json(SAID))
    urls = await placed(start_node, where, provider(vendor))
    source = f"chain: {{name: round}}\ninput: {{question: {{type: string}}}}\nsteps: [{{id: s, llm: {{model: {model}, prompt: again}}}}]"
    async with http.put(
        f"{urls['ChainEngine']}/v1/chains/round", json={"source": source}, headers=KEY
    ) as reply:
        assert reply.status == 201, await reply.text()
    body = {"model": "chain/round", "messages": [{"role": "user", "content": "Hi"}]}
    async with http.post(f"{urls['Router']}/v1/chat/completions", json=body, headers=KEY) as reply:
        assert reply.status >= 400, await reply.text()
    async with http.get(f"{urls['ChainEngine']}/v1/runs", headers=KEY) as reply:
        (run,) = (await reply.json())["data"]
    assert run["error"]["cause"] == "model_not_found"
    assert not vendor.received


async def test_no_rule_of_personas_leads_a_step_back_to_its_chain(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    """What is chosen for clients is not chosen for the steps of what they asked."""
    vendor = await start_vendor(Play.json(SAID))
    rule = '[[router.persona_rules]]\npersona = "analyst"\ncontent = "again"\n'
    urls = await placed(start_node, "another node", provider(vendor) + rule)
    async with http.put(
        f"{urls['ChainEngine']}/v1/chains/round",
        json={
            "source": "chain: {name: round}\ninput: {question: {type: string}}\nsteps: [{id: s, llm: {model: m, prompt: again}}]"
        },
        headers=KEY,
    ) as reply:
        assert reply.status == 201, await reply.text()
    body = {"model": "chain/round", "messages": [{"role": "user", "content": "Hi"}]}
    async with http.post(f"{urls['Router']}/v1/chat/completions", json=body, headers=KEY) as reply:
        assert reply.status == 200, await reply.text()
    (asked,) = vendor.received
    assert asked.json["messages"] == [{"role": "user", "content": "again"}]
