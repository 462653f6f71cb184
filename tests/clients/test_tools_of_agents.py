"""Tools that only agents of OpenAI's dialects offer, with vendors that know none of them: free text, namespaces, search."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import openai
import pytest

from tests.clients.strict import faults
from tests.conftest import StartNode, StartVendor, provider
from tests.servers.dialects.model import Asked, Said
from tests.servers.dialects.table import STAND_INS
from tests.servers.recorder import Answered

PATCH = '*** Begin Patch\n"quoted" 🌞\n*** End Patch'
FUNCTION = {"type": "function", "name": "spawn", "description": "", "parameters": {"type": "object"}}
TOOLS: list[Any] = [
    {"type": "custom", "name": "apply_patch", "description": "Takes a patch."},
    {"type": "namespace", "name": "crew", "description": "Others.", "tools": [{**FUNCTION, "strict": False}]},
    {"type": "web_search"},
]
KINDS = ["openai", "groq", "anthropic", "google", "mistral", "ollama"]
SEARCHES = {"anthropic": "web_search_20250305", "google": "googleSearch"}
"""Vendors that search the web too, and their own word for it."""
asked_last: list[Asked] = []


def agent(asked: Asked) -> Said:
    asked_last[:] = [asked]
    if asked.results:
        return Said(("Done: ", "; ".join(words for _, words in asked.results)))
    return Said(
        calls=(("call_p", "apply_patch", json.dumps({"input": PATCH})), ("call_s", "crew__spawn", "{}"))
    )


def chat_agent(asked: Asked) -> Said:
    asked_last[:] = [asked]
    if asked.results:
        return Said(("Done: ", asked.results[0][1]))
    return Said(calls=(("call_p", "apply_patch", json.dumps({"input": PATCH})),))


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("kind", KINDS[1:])
async def test_free_text_and_namespaces_come_back_as_they_were_offered(
    start_node: StartNode, start_vendor: StartVendor, kind: str, stream: bool
) -> None:
    vendor = await start_vendor(partial(STAND_INS[kind].answer, brain=agent))
    node = await start_node(provider(vendor, kind=kind))
    client = openai.AsyncOpenAI(base_url=f"{node.listening[0].url}/v1", api_key="unused", max_retries=0)
    items: list[Any] = [{"role": "user", "content": "Patch it."}]
    for turn in range(2):
        ask: Any = {"model": "primary/m", "input": items, "tools": TOOLS, "store": False}
        if stream:
            told = [event async for event in await client.responses.create(**ask, stream=True)]
            answer: Any = told[-1].response
            deltas = [e.delta for e in told if e.type == "response.custom_tool_call_input.delta"]
            assert "".join(deltas) == ("" if turn else PATCH)
        else:
            raw = await client.responses.with_raw_response.create(**ask)
            notes = raw.headers.get("x-intellirouter-notes", "")
            assert ("'web_search' was left out" in notes) is (kind not in SEARCHES)
            sent = Answered(200, "application/json", bytearray(raw.http_response.content))
            assert faults("openai_responses", sent) == []
            answer = raw.parse()
        if turn == 0:
            patch, spawn = [item for item in answer.output if item.type != "reasoning"]
            assert (patch.type, patch.name, patch.input) == ("custom_tool_call", "apply_patch", PATCH)
            assert (spawn.type, spawn.namespace, spawn.name, spawn.arguments) == (
                *("function_call", "crew", "spawn"),
                "{}",
            )
            items += [item.model_dump(exclude_none=True) for item in answer.output]
            items.append({"type": "custom_tool_call_output", "call_id": patch.call_id, "output": "patched"})
            items.append({"type": "function_call_output", "call_id": spawn.call_id, "output": "spawned"})
    assert answer.output_text == "Done: patched; spawned"
    assert [(name, arguments) for _, name, arguments in asked_last[0].calls] == [
        ("apply_patch", {"input": PATCH}),
        ("crew__spawn", {}),
    ]
    assert sorted(tool["name"] for tool in asked_last[0].tools) == ["apply_patch", "crew__spawn"]
    await client.close()


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("kind", ["anthropic", "google", "mistral", "ollama"])
async def test_chat_completions_take_free_text_too(
    start_node: StartNode, start_vendor: StartVendor, kind: str, stream: bool
) -> None:
    vendor = await start_vendor(partial(STAND_INS[kind].answer, brain=chat_agent))
    node = await start_node(provider(vendor, kind=kind))
    client = openai.AsyncOpenAI(base_url=f"{node.listening[0].url}/v1", api_key="unused", max_retries=0)
    tools: Any = [{"type": "custom", "custom": {"name": "apply_patch", "description": "Takes a patch."}}]
    ask: Any = {"model": "primary/m", "messages": [{"role": "user", "content": "Patch it."}], "tools": tools}
    if stream:
        chunks = [chunk async for chunk in await client.chat.completions.create(**ask, stream=True)]
        calls = [call for chunk in chunks for call in chunk.choices[0].delta.tool_calls or ()]
        extra = [call.model_dump()["custom"] for call in calls]
        assert "".join(custom.get("input") or "" for custom in extra) == PATCH
        assert (calls[0].type, extra[0]["name"]) == ("custom", "apply_patch")
    else:
        answer = await client.chat.completions.create(**ask)
        (call,) = answer.choices[0].message.tool_calls or ()
        assert call.type == "custom"
        assert (call.custom.name, call.custom.input) == ("apply_patch", PATCH)
        said = answer.choices[0].message.model_dump(exclude_none=True)
        ask["messages"] += [said, {"role": "tool", "tool_call_id": call.id, "content": "patched"}]
        second = await client.chat.completions.create(**ask)
        assert second.choices[0].message.content == "Done: patched"
        assert asked_last[0].calls[0][1:] == ("apply_patch", {"input": PATCH})
    await client.close()


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in SEARCHES])
@pytest.mark.parametrize("forced", [False, True])
async def test_a_tool_that_only_another_vendor_runs_is_refused_where_nothing_else_would_do(
    start_node: StartNode, start_vendor: StartVendor, kind: str, forced: bool
) -> None:
    vendor = await start_vendor(partial(STAND_INS[kind].answer, brain=agent))
    node = await start_node(provider(vendor, kind=kind))
    client = openai.AsyncOpenAI(base_url=f"{node.listening[0].url}/v1", api_key="unused", max_retries=0)
    ask: Any = {"tools": TOOLS, "tool_choice": {"type": "web_search"}} if forced else {"tools": TOOLS[2:]}
    with pytest.raises(
        openai.BadRequestError, match="'web_search' is run by openai_responses providers"
    ) as no:
        await client.responses.create(model="primary/m", input="Look it up.", **ask)
    assert no.value.param == "tools"
    assert vendor.received == []
    await client.close()


@pytest.mark.parametrize(("kind", "word"), SEARCHES.items())
async def test_a_search_of_the_web_is_asked_of_a_vendor_that_has_its_own(
    start_node: StartNode, start_vendor: StartVendor, kind: str, word: str
) -> None:
    vendor = await start_vendor(STAND_INS[kind].answer)
    node = await start_node(provider(vendor, kind=kind))
    client = openai.AsyncOpenAI(base_url=f"{node.listening[0].url}/v1", api_key="unused", max_retries=0)
    answer = await client.responses.create(
        model="primary/m", input="Look it up.", tools=[{"type": "web_search"}]
    )
    assert "Look it up." in answer.output_text
    (tool,) = vendor.received[0].json["tools"]
    assert word in (tool.get("type"), *tool)
    await client.close()
