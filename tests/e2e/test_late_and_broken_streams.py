"""Late first tokens, stalls, and rescues that do not go on: a truncated answer never looks complete, whoever asks."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from typing import Any

import aiohttp
import pytest

from tests.conftest import StartNode, StartVendor
from tests.servers import fault_vendor as faults
from tests.servers.vendor import Answer, Play, Received, Vendor

SENTENCES = (
    "The lighthouse at Eddystone was built four times. The first tower stood for five years before a storm took it, and "
    "the keepers with it. The second one was made of wood and burned, because the lantern set the roof on fire. "
    "The third was built of stone by Smeaton, who took an oak for his model."
)
PARTS = [part if i == 0 else f" {part}" for i, part in enumerate(SENTENCES.split(" "))]
BROKEN = 38
SAID = "".join(PARTS[:BROKEN])
PING = b": ping"


def config(
    *vendors: Vendor, timeouts: str = "connect = 1, first_token = 1.5, idle = 0.3, total = 30", more: str = ""
) -> str:
    blocks = [
        f"""
[[model_registry.providers]]
name = "p{number}"
kind = "openai_compatible"
endpoint = "{vendor.url}/v1"
models = ["m{number}"]
timeouts = {{ {timeouts} }}
[[model_registry.models]]
name = "chat{number}"
targets = ["p{number}/m{number}"]
price = {{ input = 1.0, output = 2.0 }}
{f"fallbacks = {[f'chat{other}' for other in range(2, len(vendors) + 1)]}" if number == 1 else ""}
"""
        for number, vendor in enumerate(vendors, 1)
    ]
    return "\n".join([*blocks, more])


def play(*pieces: str | float | bytes, finish: str | None = "stop", end: Any = "clean") -> Play:
    said: list[bytes | float] = []
    for piece in pieces:
        if isinstance(piece, float):
            said.append(piece)
        elif isinstance(piece, bytes):
            said.append(piece + b"\n\n")
        else:
            said.append(b"data: " + faults.chunk({"content": piece}) + b"\n\n")
    if finish:
        said += [
            b"data: " + faults.chunk({}, finish) + b"\n\n",
            b"data: " + faults.usage_chunk() + b"\n\n",
            b"data: [DONE]\n\n",
        ]
    return Play(said, headers={"content-type": "text/event-stream"}, end=end)


def thought(text: str) -> bytes:
    return b"data: " + faults.chunk({"reasoning_content": text})


async def ask(http: aiohttp.ClientSession, url: str, **more: Any) -> tuple[str, list[dict[str, Any]], Any]:
    """The text, the events, and the reply of a streamed chat."""
    body = {
        "model": "chat1",
        "messages": [{"role": "user", "content": "Tell me of the lighthouse."}],
        "stream": True,
        **more,
    }
    async with http.post(f"{url}/v1/chat/completions", json=body) as reply:
        data = (await reply.read()).decode()
    if reply.status != 200:
        return "", [json.loads(data)], reply
    events = [json.loads(line[6:]) for line in data.split("\n") if line.startswith("data: {")]
    text = "".join(
        choice["delta"].get("content") or "" for event in events for choice in event.get("choices", ())
    )
    if "data: [DONE]" not in data:
        assert "error" in events[-1], "what has no end has an error"
    return text, events, reply


# Late first tokens.


@pytest.mark.parametrize("transport", ["fast", "aiohttp"])
@pytest.mark.parametrize(
    "opening",
    [
        (1.0,),
        (0.8, PING, 0.8, PING, 0.8),
        (thought("hm"), 0.8, thought("hm"), 0.8, thought("so"), 0.8),
        (b"event: keepalive\ndata:", 1.0),
    ],
    ids=["silence", "pings", "thoughts", "empty events"],
)
async def test_until_the_first_content_only_first_token_counts(
    opening: tuple[Any, ...],
    transport: str,
    start_node: StartNode,
    start_vendor: StartVendor,
    http: aiohttp.ClientSession,
) -> None:
    vendor = await start_vendor(play(*opening, *PARTS))
    node = await start_node(config(vendor, more=f'[router]\ntransport = "{transport}"\n'))
    text, _, _ = await ask(http, node.listening[0].url)
    assert text == SENTENCES
    assert len(vendor.received) == 1


async def test_who_says_nothing_for_first_token_is_left_and_who_only_pings_is_not_waited_for_for_ever(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    times = "connect = 1, first_token = 0.4, idle = 0.2, total = 30"
    for opening in ((5.0,), tuple(item for _ in range(100) for item in (PING, 0.1))):
        silent, second = await start_vendor(play(*opening, *PARTS)), await start_vendor(play(*PARTS))
        node = await start_node(
            config(silent, second, timeouts=times, more='[router]\nhedge_after_seconds = "never"\n')
        )
        text, _, reply = await ask(http, node.listening[0].url)
        assert text == SENTENCES
        assert reply.headers["x-intellirouter-provider"] == "p2"


async def test_after_the_first_content_silence_is_a_stall(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    stalls = await start_vendor(play(*PARTS[:BROKEN], 5.0, *PARTS[BROKEN:]))
    second = await start_vendor(play(*PARTS[BROKEN:]))
    text, events, _ = await ask(http, (await start_node(config(stalls, second))).listening[0].url)
    assert text == SENTENCES
    assert "error" not in events[-1]


async def test_who_only_pings_after_the_first_content_stands_still(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    stalls = await start_vendor(play(*PARTS[:BROKEN], *(item for _ in range(200) for item in (PING, 0.1))))
    second = await start_vendor(play(*PARTS[BROKEN:]))
    toml = config(stalls, second, timeouts="connect = 1, first_token = 0.6, idle = 0.4, total = 30")
    text, _, _ = await ask(http, (await start_node(toml)).listening[0].url)
    assert text == SENTENCES


async def test_a_stream_may_stand_still_for_so_long_in_all(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    def stalling(request: Received) -> Play:
        told = next(
            (m["content"] for m in reversed(request.json["messages"]) if m["role"] == "assistant"), ""
        )
        place = len(told.split())
        return play(*PARTS[place : place + 8], 20.0, *PARTS[place + 8 :])

    vendor = await start_vendor(stalling)
    toml = config(
        vendor,
        timeouts="connect = 1, first_token = 9, idle = 1.0, total = 60",
        more="[router]\nstall_seconds = 1.6\n",
    )
    began = time.monotonic()
    _, events, _ = await ask(http, (await start_node(toml)).listening[0].url)
    assert "error" in events[-1]
    assert len(vendor.received) == 2
    assert time.monotonic() - began >= 1.5


# Rescues.


BAD: dict[str, Answer] = {
    "nothing": play(),
    "a full stop": play("."),
    "one word": play(" and"),
    "half a sentence": play(" so the third was built of stone by an engineer who had", " seen that"),
    "a refusal": play("I'm sorry, but I can't ", "continue this text for you."),
    "a refusal of its own kind": Play.sse(
        faults.chunk({"refusal": "No."}), faults.chunk({}, "stop"), b"[DONE]"
    ),
    "a filter": play(" so the third was built of stone.", finish="content_filter"),
    "another subject": play(
        "Bananas grow in tropical countries", " and people everywhere enjoy eating this yellow fruit daily."
    ),
    "a greeting": play("Sure! Here is the rest of what you wanted", " to know about it."),
    "again in other words": play(
        "The lighthouse of Eddystone was built four times in all. ", "The first tower lasted five years."
    ),
    "again, and then differently": play(*PARTS[:30], " something else entirely was the case, they say."),
    "less of the same": play(*PARTS[:20]),
    "an error": faults.error(503, "down"),
}


@pytest.mark.parametrize("name", BAD)
async def test_what_does_not_go_on_is_an_error_and_never_an_end(
    name: str, start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    broken = await start_vendor(play(*PARTS[:BROKEN], finish=None, end="close"), faults.error(503, "down"))
    second = await start_vendor(BAD[name])
    text, events, _ = await ask(http, (await start_node(config(broken, second))).listening[0].url)
    assert text.startswith(SAID)
    assert "error" in events[-1]
    assert not any(choice.get("finish_reason") for event in events for choice in event.get("choices", ()))


@pytest.mark.parametrize("name", BAD)
async def test_another_try_is_made_with_who_goes_on(
    name: str, start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    broken = await start_vendor(play(*PARTS[:BROKEN], finish=None, end="close"))
    second = await start_vendor(BAD[name])

    def going_on(request: Received) -> Play:
        told = next(m["content"] for m in reversed(request.json["messages"]) if m["role"] == "assistant")
        if not SENTENCES.startswith(told):  # something of another passed: an end of it is enough
            return play(" it stood for a hundred years and more.")
        return play(SENTENCES[len(told) :].lstrip())  # as models do: without the blank

    third = await start_vendor(going_on)
    text, events, _ = await ask(http, (await start_node(config(broken, second, third))).listening[0].url)
    assert "error" not in events[-1]
    assert text == SENTENCES or text.endswith("a hundred years and more.")


async def test_after_a_rescue_the_end_names_both_and_bills_the_sum(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    broken = await start_vendor(play(*PARTS[:BROKEN], finish=None, end="close"))
    second = await start_vendor(play(*PARTS[BROKEN:]))
    url = (await start_node(config(broken, second))).listening[0].url
    text, events, _ = await ask(http, url, stream_options={"include_usage": True})
    assert text == SENTENCES
    usage = events[-1]["usage"]
    targets = usage["intellirouter"]["targets"]
    assert [share["target"] for share in targets] == ["p1/m1", "p2/m2"]
    assert usage["prompt_tokens"] == sum(share["input_tokens"] for share in targets)
    assert usage["completion_tokens"] == sum(share["output_tokens"] for share in targets)
    assert targets[0]["output_tokens"] >= BROKEN
    assert targets[1]["output_tokens"] == faults.USAGE["completion_tokens"]
    _, events, _ = await ask(http, url)  # who did not ask for the usage is told all the same
    assert "p2/m2" in json.dumps(events[-1])


DIALECTS: dict[str, tuple[str, dict[str, Any], tuple[str, ...], str]] = {
    "chat": (
        "/v1/chat/completions",
        {"messages": [{"role": "user", "content": "Tell me."}]},
        ("[DONE]", '"stop"'),
        '"error"',
    ),
    "responses": ("/v1/responses", {"input": "Tell me."}, ("response.completed",), "error"),
    "messages": (
        "/v1/messages",
        {"max_tokens": 900, "messages": [{"role": "user", "content": "Tell me."}]},
        ("message_stop", "end_turn"),
        "event: error",
    ),
    "ollama": (
        "/api/chat",
        {"messages": [{"role": "user", "content": "Tell me."}]},
        ('"done":true',),
        '"error"',
    ),
    "gemini": (
        "/v1beta/models/chat1:streamGenerateContent?alt=sse",
        {"contents": [{"role": "user", "parts": [{"text": "Tell me."}]}]},
        ('"STOP"',),
        '"error"',
    ),
    "completions": ("/v1/completions", {"prompt": "Tell me."}, ("[DONE]",), '"error"'),
}


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_truncated_answer_looks_complete_in_no_dialect(
    dialect: str, start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    path, body, ends, error = DIALECTS[dialect]
    broken = await start_vendor(play(*PARTS[:BROKEN], finish=None, end="close"), faults.error(503, "down"))
    second = await start_vendor(play())
    url = (await start_node(config(broken, second))).listening[0].url
    body = body if dialect == "gemini" else {"model": "chat1", "stream": True, **body}
    async with http.post(f"{url}{path}", json=body) as reply:
        data = (await reply.read()).decode()
    assert "lantern" in data
    assert error in data
    for end in ends:
        assert end not in data


# Refusals that pass, and what providers got.


async def test_a_target_that_says_when_is_waited_for_where_that_is_wished(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    for policy, answered in (("wait", "p1"), ("next", "p2")):
        first = await start_vendor(faults.error(429, "slow", **{"retry-after": "1"}), play(*PARTS))
        second = await start_vendor(play(*PARTS))
        node = await start_node(config(first, second, more=f'[router]\non_rate_limit = "{policy}"\n'))
        text, _, reply = await ask(http, node.listening[0].url)
        assert text == SENTENCES
        assert reply.headers["x-intellirouter-provider"] == answered


@pytest.mark.parametrize("transport", ["fast", "aiohttp"])
async def test_what_was_sent_twice_counts_twice(
    transport: str, start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    vendor = await start_vendor(Play.json(faults.whole()), Play(before="hang"), Play.json(faults.whole()))
    url = (await start_node(config(vendor, more=f'[router]\ntransport = "{transport}"\n'))).listening[0].url
    body = {"model": "chat1", "messages": [{"role": "user", "content": "Hi"}]}
    async with http.post(f"{url}/v1/chat/completions", json=body) as reply:
        assert reply.headers["x-intellirouter-attempts"] == "1"
    second = asyncio.create_task(http.post(f"{url}/v1/chat/completions", json=body).__aenter__())
    deadline = time.monotonic() + 60
    while len(vendor.received) < 2:  # it went out on the kept connection …
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)
    vendor.hang_up()  # … which ends without a byte
    reply = await asyncio.wait_for(second, 60)
    assert reply.status == 200
    assert len(vendor.received) == 3
    assert reply.headers["x-intellirouter-attempts"] == "2"
    reply.close()


# What one caller does is not held against a target.


def two_keys() -> str:
    return "[auth]\nenabled = true\n" + "".join(
        f"""[[auth.keys]]
name = "{name}"
tenant = "t{name}"
sha256 = "{hashlib.sha256(name.encode()).hexdigest()}"
scopes = ["inference", "admin"]
"""
        for name in ("a", "b")
    )


async def status_of(http: aiohttp.ClientSession, url: str, key: str, **more: Any) -> int:
    body = {"model": "chat1", "messages": [{"role": "user", "content": "Hi"}], **more}
    headers = {"authorization": f"Bearer {key}"}
    async with http.post(f"{url}/v1/chat/completions", json=body, headers=headers) as reply:
        await reply.read()
        return reply.status


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
async def test_the_deadlines_of_one_caller_open_no_circuit(
    stream: bool, start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    vendor = await start_vendor(
        lambda request: Play(
            [
                0.6,
                *(
                    play(*PARTS).pieces
                    if request.json.get("stream")
                    else [json.dumps(faults.whole()).encode()]
                ),
            ]
        )
    )
    url = (await start_node(config(vendor) + two_keys())).listening[0].url
    hasty = {"intellirouter": {"timeout": 0.2}, "stream": stream}
    statuses = await asyncio.gather(*(status_of(http, url, "b", **hasty) for _ in range(8)))
    assert set(statuses) == {504}
    assert await status_of(http, url, "a", stream=stream) == 200
    assert await status_of(http, url, "b", stream=stream) == 200
    async with http.get(f"{url}/admin/targets", headers={"authorization": "Bearer a"}) as reply:
        assert {row["circuit"] for row in (await reply.json())["data"]} == {"closed"}


async def test_what_a_target_chokes_on_for_one_caller_closes_it_to_that_one_alone(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    def choking(request: Received) -> Play:
        return faults.error(500, "boom") if b"poison" in request.body else faults.healthy(request)

    vendor = await start_vendor(choking)
    url = (await start_node(config(vendor) + two_keys())).listening[0].url
    poison = {"messages": [{"role": "user", "content": "poison"}]}
    for _ in range(6):
        assert await status_of(http, url, "b", **poison) >= 500
    asked = len(vendor.received)
    assert await status_of(http, url, "b", **poison) == 503
    assert len(vendor.received) == asked  # its circuit is open …
    assert await status_of(http, url, "a") == 200  # … and nobody else's
