"""Chat completions through the Router, on real sockets, against a stand-in vendor."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
import pytest

from tests.conftest import StartNode, StartVendor, provider
from tests.servers.vendor import Play

ANSWER: dict[str, Any] = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1_700_000_000,
    "model": "m-2026-01-01",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Hello there.", "vendor_extra": {"kept": True}},
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12},
}


def chunk(delta: dict[str, Any] | None = None, finish: str | None = None, **more: Any) -> bytes:
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m-2026-01-01"}
    return json.dumps({**head, "choices": choices, **more}).encode()


STREAM = (
    chunk({"role": "assistant", "content": ""}),
    chunk({"content": "Hello"}),
    chunk({"content": " there."}),
    chunk({}, "stop"),
    chunk(usage={"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}),
    b"[DONE]",
)
BODY: dict[str, Any] = {"model": "primary/m", "messages": [{"role": "user", "content": "Hi"}]}


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("mine", True),
        ("9b2c1f0e-7d1a-4a57-9a53-0d9f3f3f2f10", True),
        ("task-skill-000000000001", True),
        ("sk-ant-api03-0123456789abcdef", False),
        ("Bearer abcdefgh", False),
        ("x" * 129, False),
        ("tab\tbed", False),
    ],
)
async def test_a_clients_request_id_is_kept_unless_it_reads_like_a_key(
    start_node: StartNode, http: aiohttp.ClientSession, given: str, kept: bool
) -> None:
    node = await start_node("")
    url = f"{node.listening[0].url}/v1/models"
    async with http.get(url, headers={"x-request-id": given}) as reply:
        told = reply.headers["x-request-id"]
    assert (told == given) is kept
    assert told.startswith("req_") is not kept


async def test_a_whole_answer_comes_back_byte_for_byte_with_headers_that_say_who_answered(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    vendor = await start_vendor(Play.json(ANSWER))
    node = await start_node(provider(vendor))
    url = f"{node.listening[0].url}/v1/chat/completions"
    async with http.post(url, json={**BODY, "a_new_field": 1}, headers={"x-request-id": "mine"}) as reply:
        assert await reply.json() == ANSWER
        assert reply.headers["x-request-id"] == "mine"
        assert reply.headers["x-intellirouter-provider"] == "primary"
        assert reply.headers["x-intellirouter-model"] == "m-2026-01-01"
        assert reply.headers["x-intellirouter-attempts"] == "1"
        assert float(reply.headers["x-intellirouter-overhead-ms"]) >= 0
    sent = vendor.received[0]
    assert sent.path == "/v1/chat/completions"
    assert sent.headers["authorization"] == "Bearer sk-secret-of-primary"
    assert sent.json == {**BODY, "model": "m", "a_new_field": 1}


@pytest.mark.parametrize("include_usage", [True, False])
async def test_a_stream_passes_event_by_event(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession, include_usage: bool
) -> None:
    vendor = await start_vendor(Play.sse(*STREAM))
    node = await start_node(provider(vendor))
    body = {**BODY, "stream": True}
    if include_usage:
        body["stream_options"] = {"include_usage": True}
    async with http.post(f"{node.listening[0].url}/v1/chat/completions", json=body) as reply:
        assert reply.content_type == "text/event-stream"
        text = await reply.read()
    expected = STREAM if include_usage else (*STREAM[:4], STREAM[5])
    assert text == b"".join(b"data: " + event + b"\n\n" for event in expected)
    assert vendor.received[0].json["stream_options"] == {"include_usage": True}


async def test_a_stream_that_breaks_ends_with_an_error_event_and_never_with_done(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    vendor = await start_vendor(Play.sse(*STREAM[:2], end="reset"))
    node = await start_node(provider(vendor))
    async with http.post(
        f"{node.listening[0].url}/v1/chat/completions", json={**BODY, "stream": True}
    ) as reply:
        text = await reply.text()
    events = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
    assert "[DONE]" not in events
    assert json.loads(events[-1])["error"]["code"] in ("upstream_unavailable", "stream_interrupted")


async def test_the_clients_departure_cuts_the_upstream_call(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    vendor = await start_vendor(Play.sse(*STREAM[:2], end="hang"))
    node = await start_node(provider(vendor))
    url = f"{node.listening[0].url}/v1/chat/completions"
    async with http.post(url, json={**BODY, "stream": True}) as reply:
        await reply.content.readany()
        reply.close()
    await asyncio.wait_for(vendor.cut.wait(), 60)


FALLING: list[tuple[Play, int, str]] = [
    (
        Play.json({"error": {"message": "slow down"}}, 429, **{"retry-after": "7"}),
        429,
        "upstream_rate_limited",
    ),
    (Play.json({"error": {"message": "broken"}}, 500), 503, "upstream_unavailable"),
    (Play(before="reset"), 503, "upstream_unavailable"),
    (Play.json({"error": {"message": "bad key"}}, 401), 502, "upstream_auth_failed"),
    (Play([b"<html>"], 200), 502, "upstream_protocol_error"),
    (Play.json({"error": {"message": "no such thing", "code": "bad_thing"}}, 422), 422, "upstream_rejected"),
    (
        Play.json({"error": {"message": "This model's maximum context length is 9", "code": "x"}}, 400),
        400,
        "context_length_exceeded",
    ),
    (
        Play.json({"error": {"message": "no", "code": "content_policy_violation"}}, 400),
        400,
        "content_policy_violation",
    ),
]


@pytest.mark.parametrize(("play", "status", "code"), FALLING, ids=[code for _, _, code in FALLING])
@pytest.mark.parametrize("stream", [False, True])
async def test_upstream_failures_become_clear_errors_that_say_what_was_tried(
    start_node: StartNode,
    start_vendor: StartVendor,
    http: aiohttp.ClientSession,
    play: Play,
    status: int,
    code: str,
    stream: bool,
) -> None:
    vendor = await start_vendor(play)
    node = await start_node(provider(vendor))
    async with http.post(
        f"{node.listening[0].url}/v1/chat/completions", json={**BODY, "stream": stream}
    ) as reply:
        error = (await reply.json())["error"]
        if stream and code == "upstream_protocol_error":  # not one event: the stream ended too early
            code = "stream_interrupted"
        assert (reply.status, error["code"]) == (status, code)
        if status == 429:
            assert reply.headers["retry-after"] == "7"
    assert error["details"]["attempts"][0]["target"] == "primary/m"
    assert "sk-secret" not in json.dumps(error)


async def test_another_target_answers_when_the_first_fails(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    broken, sound = await start_vendor(Play(before="reset")), await start_vendor(Play.json(ANSWER))
    node = await start_node(
        provider(broken, name="a")
        + provider(sound, name="b")
        + '[[model_registry.models]]\nname = "smart"\ntargets = ["a/m", "b/m"]\naliases = ["clever"]\n'
    )
    async with http.post(
        f"{node.listening[0].url}/v1/chat/completions", json={**BODY, "model": "clever"}
    ) as reply:
        assert reply.status == 200
        assert reply.headers["x-intellirouter-provider"] == "b"
        assert int(reply.headers["x-intellirouter-attempts"]) >= 2


async def test_an_unknown_model_is_404_with_the_nearest_names(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    vendor = await start_vendor(Play.json(ANSWER))
    node = await start_node(
        provider(vendor) + '[[model_registry.models]]\nname = "gpt-smart"\ntargets = ["primary/m"]\n'
    )
    async with http.post(
        f"{node.listening[0].url}/v1/chat/completions", json={**BODY, "model": "gpt-smrt"}
    ) as reply:
        error = (await reply.json())["error"]
    assert reply.status == 404
    assert error["code"] == "model_not_found"
    assert "gpt-smart" in error["message"]
    assert not vendor.received
