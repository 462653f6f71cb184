"""What a content policy refuses is asked of the models that are configured for it, and what must stay with one model stays."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
import pytest

from tests.conftest import StartNode, StartVendor, provider
from tests.servers.vendor import Play, Received

REFUSAL = {
    "error": {
        "message": "Your request was rejected.",
        "type": "invalid_request_error",
        "code": "content_policy_violation",
    }
}
MODELS = """
[[model_registry.models]]
name = "chat"
targets = ["strict/m"]
content_policy_fallbacks = ["also-strict", "open"]
[[model_registry.models]]
name = "also-strict"
targets = ["strict/n"]
[[model_registry.models]]
name = "open"
targets = ["mild/m"]
[[model_registry.models]]
name = "grouped"
targets = ["strict/o"]
content_policy_fallbacks = ["two"]
[[model_registry.models]]
name = "two"
cascade = { steps = ["open", "open"] }
[[model_registry.models]]
name = "none"
targets = ["strict/m"]
content_policy_fallbacks = ["also-strict"]
[[model_registry.models]]
name = "plain"
targets = ["strict/m"]
fallbacks = ["open"]
[[model_registry.models]]
name = "home"
targets = ["away/m"]
fallbacks = ["open"]
content_policy_fallbacks = ["open"]
[[guards]]
name = "stay"
kind = "pii"
action = "route"
route_to = "home"
"""
KINDS = ("refused by an error", "filtered before a word", "filtered after words")


def chunks(*deltas: tuple[dict[str, str], str | None]) -> Play:
    lines = [
        json.dumps({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
                    "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}).encode()
        for delta, reason in deltas
    ]  # fmt: skip
    return Play.sse(*lines, b"[DONE]")


def says(text: str, reason: str, *, stream: bool) -> Play:
    if stream:
        words = [({"content": word}, None) for word in text.split(" ") if word]
        return chunks(({"role": "assistant", "content": ""}, None), *words, ({}, reason))
    message = {"role": "assistant", "content": text or None}
    choice = {"index": 0, "message": message, "finish_reason": reason}
    usage = {"prompt_tokens": 10, "completion_tokens": 1, "total_tokens": 11}
    whole = {
        "id": "c",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [choice],
        "usage": usage,
    }
    return Play.json(whole)


def strict(request: Received) -> Play:
    asked = request.json["messages"][-1]["content"]
    stream = bool(request.json.get("stream"))
    match asked:
        case "refused by an error":
            return Play.json(REFUSAL, 400)
        case "filtered before a word":
            return says("", "content_filter", stream=stream)
        case "filtered after words":
            return says("Well then", "content_filter", stream=stream)
    return says("strictly", "stop", stream=stream)


def mild(request: Received) -> Play:
    return says("mildly", "stop", stream=bool(request.json.get("stream")))


async def ask(
    http: aiohttp.ClientSession, url: str, model: str, text: str, *, stream: bool = False, **more: Any
) -> tuple[int, str, Any]:
    """The status, the text and the decision; the text is the error's code where there is one."""
    body = {"model": model, "messages": [{"role": "user", "content": text}], "stream": stream, **more}
    headers = {"x-intellirouter-explain": "1"}
    async with http.post(f"{url}/v1/chat/completions", json=body, headers=headers) as reply:
        decision = json.loads(reply.headers.get("x-intellirouter-decision", "null"))
        if reply.status != 200:
            return reply.status, (await reply.json())["error"]["code"], decision
        if not stream:
            return 200, (await reply.json())["choices"][0]["message"]["content"] or "", decision
        lines = [line[6:] for line in (await reply.text()).splitlines() if line.startswith("data: {")]
        choices = [choice for line in lines for choice in json.loads(line)["choices"]]
        return 200, "".join(choice["delta"].get("content") or "" for choice in choices), decision


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_others_are_asked_where_a_policy_refuses(
    stream: bool, start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    away = await start_vendor(Play.json({"error": {"message": "no"}}, 404))
    refusing, near = await start_vendor(strict), await start_vendor(mild)
    parts = (
        provider(refusing, name="strict").replace('["m"]', '["m", "n", "o"]'),
        provider(near, name="mild"),
        provider(away, name="away"),
    )
    url = (await start_node("".join(parts) + MODELS)).listening[0].url

    for text in KINDS[:2]:
        status, said, decision = await ask(http, url, "chat", text, stream=stream)
        assert (status, said) == (200, "mildly"), text
        assert decision["content_policy"] == {"refused_by": "strict/m", "asked_instead": "open"}
        assert [one["target"] for one in decision["attempts"]] == ["strict/m", "strict/n", "mild/m"]
        assert decision["answered_by"]["provider"] == "mild"
        assert (await ask(http, url, "grouped", text, stream=stream))[:2] == (200, "mildly")

    asked = len(near.received)
    assert (await ask(http, url, "chat", "hello", stream=stream))[1] == "strictly"
    status, said, decision = await ask(http, url, "chat", KINDS[2], stream=stream)
    assert said.replace(" ", "") == ("Wellthen" if stream else "mildly"), "what a caller has read stands"
    assert ("content_policy" in decision) is not stream
    asked = len(near.received)
    for model in ("none", "plain"):  # a fallback for failures is none for refusals
        assert (await ask(http, url, model, KINDS[0], stream=stream))[:2] == (400, "content_policy_violation")
        assert (await ask(http, url, model, KINDS[1], stream=stream))[:2] == (200, "")
    assert len(near.received) == asked

    personal = f"{KINDS[0]}, asks jane.roe@example.org"
    for model in ("chat", "auto", "open", "strict/m"):
        told = await ask(http, url, model, personal, stream=stream, intellirouter={"fallbacks": ["open"]})
        assert told[0] >= 400, "its model is away, and nobody else may have it"
    assert (len(near.received), len(away.received)) == (asked, 4)
    away.answers[:] = [mild]
    for model in ("chat", "auto"):
        status, said, decision = await ask(http, url, model, personal, stream=stream)
        assert (said, decision["guarded_to"], decision["answered_by"]["provider"]) == (
            "mildly",
            "home",
            "away",
        )
    assert len(near.received) == asked


async def test_a_policy_fallback_that_is_not_there_keeps_a_node_from_starting(start_node: StartNode) -> None:
    table = '[[model_registry.models]]\nname = "chat"\ntargets = ["offline/x"]\ncontent_policy_fallbacks = ["nobody"]\n'
    with pytest.raises(Exception, match="content_policy_fallbacks"):
        await start_node(table)
