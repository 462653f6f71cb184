"""A plain model asked for JSON: what has not the form is mended, asked for again, then asked of the next target."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
import openai
import pytest

from tests.conftest import StartNode, StartVendor
from tests.e2e.test_groups import says
from tests.servers import fault_vendor as faults
from tests.servers.vendor import Answer, Play, Received, Vendor

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
FORMATS: dict[str, dict[str, Any]] = {
    "object": {"type": "json_object"},
    "schema": {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}},
}


async def node_of(
    start_node: StartNode, start_vendor: StartVendor, *answers: Answer, more: str = ""
) -> tuple[str, list[Vendor]]:
    """A node whose model `chat` has these vendors as targets."""
    vendors = [await start_vendor(answer) for answer in answers]
    providers = "".join(
        f'[[model_registry.providers]]\nname = "p{i}"\nkind = "openai_compatible"\nendpoint = "{vendor.url}/v1"\nmodels = ["x"]\n'
        for i, vendor in enumerate(vendors, 1)
    )
    targets = json.dumps([f"p{i}/x" for i in range(1, len(vendors) + 1)])
    model = f'[[model_registry.models]]\nname = "chat"\ntargets = {targets}\n'
    return (await start_node(providers + model + more)).listening[0].url, vendors


async def ask(
    http: aiohttp.ClientSession, url: str, form: str, **more: Any
) -> tuple[str, dict[str, Any], str]:
    """The text, the usage, and the notes."""
    body = {
        "model": "chat",
        "messages": [{"role": "user", "content": "How many?"}],
        "response_format": FORMATS[form],
    }
    async with http.post(f"{url}/v1/chat/completions", json=body | more) as reply:
        assert reply.status == 200, await reply.text()
        told = await reply.json()
        notes = reply.headers.get("x-intellirouter-notes", "")
        return told["choices"][0]["message"]["content"], told["usage"], notes


def mended(first: str, again: str) -> Answer:
    """Says `first`, and `again` once it is told what does not hold."""

    def answer(request: Received) -> Play:
        told = "does not hold" in str(request.json["messages"][-1]["content"])
        return says(again if told else first)(request)

    return answer


@pytest.mark.parametrize(
    ("form", "first", "second", "text", "asked"),
    [
        ("object", says('{"n": 7}'), says("never"), '{"n": 7}', [1, 0]),
        ("object", says("seven"), says('{"n": 7}'), '{"n": 7}', [2, 1]),
        ("object", says("[7]"), says('{"n": 7}'), '{"n": 7}', [2, 1]),
        ("object", mended("seven", '{"n": 7}'), says("never"), '{"n": 7}', [2, 0]),
        ("object", says('```json\n{"n": 7}\n```'), says("never"), '{"n": 7}', [1, 0]),
        ("schema", says('{"n": 7}'), says("never"), '{"n": 7}', [1, 0]),
        ("schema", says('{"n": "7"}'), says('{"n": 7}'), '{"n": 7}', [2, 1]),
        ("schema", mended('{"m": 1}', '{"n": 7}'), says("never"), '{"n": 7}', [2, 0]),
    ],
)
async def test_an_answer_comes_in_the_form_that_was_asked_for(
    form: str,
    first: Answer,
    second: Answer,
    text: str,
    asked: list[int],
    start_node: StartNode,
    start_vendor: StartVendor,
    http: aiohttp.ClientSession,
) -> None:
    url, vendors = await node_of(start_node, start_vendor, first, second)
    said, usage, _ = await ask(http, url, form)
    assert said == text
    assert [len(vendor.received) for vendor in vendors] == asked
    assert (
        usage["prompt_tokens"] == sum(asked) * faults.USAGE["prompt_tokens"]
    )  # all that was asked is paid for


async def test_what_nobody_gives_in_the_form_is_told_as_it_is(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    url, vendors = await node_of(start_node, start_vendor, says("seven"), says("eight"))
    said, usage, notes = await ask(http, url, "object")
    assert said == "seven"
    assert "has not the form" in notes
    assert [len(vendor.received) for vendor in vendors] == [2, 1]
    assert usage["prompt_tokens"] == 3 * faults.USAGE["prompt_tokens"]


async def test_the_switch_leaves_answers_as_they_come_and_streams_are_not_held_back(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    off = "[features]\nvalidation = false\n"
    url, vendors = await node_of(start_node, start_vendor, says("seven"), says("eight"), more=off)
    assert (await ask(http, url, "object"))[0] == "seven"
    assert [len(vendor.received) for vendor in vendors] == [1, 0]
    url, vendors = await node_of(start_node, start_vendor, says("seven"), says("eight"))
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="-", max_retries=0) as client:
        stream = await client.chat.completions.create(
            model="chat",
            messages=[{"role": "user", "content": "How many?"}],
            response_format={"type": "json_object"},
            stream=True,
        )
        text = "".join([c.choices[0].delta.content or "" async for c in stream if c.choices])
    assert text == "seven"
    assert [len(vendor.received) for vendor in vendors] == [1, 0]
