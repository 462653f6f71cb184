"""Guards hold for whoever asks a model: steps of chains, agents and their tools, personas, and what was retrieved for either."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import aiohttp

from tests.conftest import StartNode, StartVendor, provider
from tests.roles.router.test_guards import ADMIN, EMAIL, INJECTED, SECRET, ask, guard, said
from tests.servers.minilm import minilm
from tests.servers.vendor import Play, Received

PAGES = {
    "good.txt": "Coal is black and is dug in mines.",
    "bad.txt": f"Coal is blue in mines. {INJECTED}",
}
LLM = "steps: [{id: a, llm: {model: primary/plain, prompt: '{{ input.question }}'}}]\noutput: {answer: steps.a.text}\n"
CHAINS = {
    "plain": LLM,
    "clerk": LLM.replace("model:", "persona: clerk, model:"),
    "look": "steps:\n- {id: r, rag: {collection: kb, query: '{{ input.question }}'}}\n"
    "- {id: a, llm: {model: primary/plain, prompt: 'From {{ steps.r.text }} answer {{ input.question }}'}}\noutput: {answer: steps.a.text}\n",
    "agent": "steps: [{id: a, agent: {model: primary/plain, prompt: '{{ input.question }}', tools: [page]}}]\noutput: {answer: steps.a.text}\n",
    "searcher": "steps: [{id: a, agent: {model: primary/plain, prompt: '{{ input.question }}', collections: [kb]}}]\noutput: {answer: steps.a.text}\n",
    "fixed": f"steps: [{{id: a, set: {{said: \"'The key is {SECRET}'\"}}}}]\noutput: {{answer: steps.a.said}}\n",
}


def thinks(request: Received) -> Play:
    """Calls the tool it has, with what it was asked for, and then says what it was told last."""
    body = request.json
    last = body["messages"][-1]
    message: dict[str, Any] = {"role": "assistant", "content": f"Told: {last['content']}"}
    if body.get("tools") and last["role"] == "user":
        name, field = (
            body["tools"][0]["function"]["name"],
            "query" if "query" in json.dumps(body["tools"]) else "to",
        )
        call = {"name": name, "arguments": json.dumps({field: last["content"]})}
        message = {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "c1", "type": "function", "function": call}],
        }
    reason = "tool_calls" if "tool_calls" in message else "stop"
    choice = {"index": 0, "message": message, "finish_reason": reason}
    return Play.json(
        {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
    )


async def test_guards_hold_in_every_role(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    pages = {"friendly": "It is warm.", "hostile": f"It is warm. {INJECTED}"}
    page = await start_vendor(
        lambda asked: Play.json({"page": pages[asked.json["to"].split()[0]], "sent": asked.json["to"]})
    )
    vendor = await start_vendor(thinks)
    (tmp_path / "personas").mkdir()
    (tmp_path / "personas" / "clerk.toml").write_text(
        'prompt = "You are a clerk."\n[guardrails]\nforbidden_topics = ["poker night"]\nrefusal = "Not that."\ndisclaimer = "No advice."\n'
    )
    toml = "".join(
        guard(action, "injection", action=action, on=["passage"], models=[f"primary/{action}"])
        for action in ("block", "flag", "mask")
    )
    toml += guard("pii", "pii", action="mask-restore", models=["primary/plain"])
    toml += guard("results", "injection", on=["tool_result"])
    toml += guard("clerks", "keywords", words=["zanzibar"], personas=["clerk"])
    toml += guard("keys", "secret", on=["input"]) + guard("leaks", "secret", on=["output"], action="mask")
    toml += provider(vendor).replace('["m"]', json.dumps(["block", "flag", "mask", "plain"]))
    toml += f'[rag]\nembedding_model_path = "{minilm()}"\nembedding_threads = 1\n[persona_layer]\npersonas_path = "{tmp_path / "personas"}"\n'
    toml += f'[chain_engine.tools.page]\nurl = "{page.url}/page"\nparameters = {{type = "object", properties = {{to = {{type = "string"}}}}}}\n'
    node = await start_node(ADMIN + toml, role="All")
    urls = {each.role: each.url for each in node.listening}
    url = urls["Router"]
    http.headers["authorization"] = "Bearer sk-a"
    await fill(http, urls)

    async def run(chain: str, question: str) -> tuple[int, str, list[Any]]:
        """The status, what was answered, and the requests that the model got."""
        before = len(vendor.received)
        status, told, _ = await ask(http, url, question, model=f"chain/{chain}")
        text = said(told) if status == 200 else json.dumps(told)
        return status, text, [one.json["messages"] for one in vendor.received[before:]]

    seen = {}
    for action in ("plain", "block", "flag", "mask"):
        wanted = {"collections": ["kb"], "top_k": 2, "min_score": 0}
        _, _, headers = await ask(
            http, url, "What colour is coal of mines?", model=f"primary/{action}", rag=wanted
        )
        shown = json.dumps(vendor.received[-1].json["messages"])
        kept = ("black" in shown, "blue" in shown, "gnore all previous" in shown)
        seen[action] = (*kept, headers.get("x-intellirouter-guards"))
    assert seen == {
        "plain": (True, True, True, None),
        "block": (True, False, False, "block=block; injection=2"),
        "flag": (True, True, True, "flag=flag; injection=2"),
        "mask": (True, True, False, "mask=mask; injection=2"),
    }

    for chain in ("look", "searcher"):  # a chain may show it to any model
        status, text, asked = await run(chain, "What colour is coal of mines?")
        assert (status, "black" in text, "blue" in text) == (200, True, False), text
        assert "gnore all previous" not in json.dumps(asked)

    status, text, asked = await run("plain", f"Write to {EMAIL}")
    assert (status, text) == (200, f"Told: Write to {EMAIL}")
    assert asked == [[{"role": "user", "content": "Write to <EMAIL_1>"}]]

    status, text, asked = await run("agent", f"friendly {EMAIL}")
    assert (status, EMAIL in text, len(asked)) == (200, True, 2), text
    assert EMAIL not in json.dumps(asked), "neither in the call nor in what the tool answered"
    assert page.received[-1].json == {"to": f"friendly {EMAIL}"}, "the tool has what was meant"
    status, text, asked = await run("agent", "hostile")
    assert (status, "results" in text, len(asked)) == (400, True, 1), text

    assert (await run("plain", "a trip to Zanzibar"))[0] == 200
    status, text, asked = await run("clerk", "a trip to Zanzibar")
    assert (status, "clerks" in text, asked) == (400, True, []), text
    assert (await run("clerk", "a trip to Oslo"))[:2] == (200, "Told: a trip to Oslo\n\nNo advice.")
    assert (await run("clerk", "Poker-Night in Oslo"))[:2] == (200, "Not that.")
    status, told, _ = await ask(http, url, "a trip to Zanzibar", model="primary/plain", persona="clerk")
    assert (status, told["error"]["code"]) == (400, "guard_blocked")

    status, text, asked = await run("plain", f"My key is {SECRET}")
    assert (status, "guard_blocked" in text, asked) == (400, True, [])
    status, text, _ = await run("fixed", "What is it?")
    assert (status, text) == (200, "The key is <SECRET>")


async def fill(http: aiohttp.ClientSession, urls: dict[str, str]) -> None:
    """A collection of two pages, and the chains."""
    rag = f"{urls['RagManager']}/rag/v1"
    async with http.post(f"{rag}/collections", json={"name": "kb"}) as reply:
        assert reply.status == 201
    for name, page in PAGES.items():
        async with http.post(
            f"{rag}/collections/kb/documents", params={"name": name}, data=page.encode()
        ) as reply:
            job = (await reply.json())["job"]
        async with asyncio.timeout(60), http.get(f"{rag}/jobs/{job}/events") as events:
            assert '"ready"' in await events.text()
    for name, steps in CHAINS.items():
        source = f"chain: {{name: {name}}}\ninput: {{question: {{type: string}}}}\n{steps}"
        async with http.put(f"{urls['ChainEngine']}/v1/chains/{name}", json={"source": source}) as reply:
            assert reply.status == 201, await reply.text()
