"""Models that are several, on a running node, before vendors that answer as they are told."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest

from tests.conftest import StartNode, StartVendor
from tests.servers import fault_vendor as faults
from tests.servers.vendor import Answer, Play, Received, Vendor


def says(text: str, delay: float = 0.0) -> Callable[[Received], Play]:
    """A vendor that says this, whole or streamed."""

    def answer(request: Received) -> Play:
        if request.json.get("stream"):
            return Play.sse(*([delay] if delay else []), *faults.events([text]))
        body = json.dumps(faults.whole(text)).encode()
        return Play([delay, body] if delay else [body], headers={"content-type": "application/json"})

    return answer


async def node_of(
    start_node: StartNode, start_vendor: StartVendor, group: str, *answers: Answer, more: str = ""
) -> tuple[str, list[Vendor]]:
    """A node whose model `group` is made of the vendors `p1/x`, `p2/x` …"""
    vendors = [await start_vendor(answer) for answer in answers]
    toml = "".join(
        f'[[model_registry.providers]]\nname = "p{i}"\nkind = "openai_compatible"\nendpoint = "{vendor.url}/v1"\nmodels = ["x"]\n'
        for i, vendor in enumerate(vendors, 1)
    )
    node = await start_node(f'{toml}[[model_registry.models]]\nname = "group"\n{group}\n{more}')
    return node.listening[0].url, vendors


def ensemble(merge: str, members: int = 3, more: str = "") -> str:
    names = [f"p{i}/x" for i in range(1, members + 1)]
    return f'[model_registry.models.ensemble]\nmembers = {json.dumps(names)}\nmerge = "{merge}"\n{more}'


async def ask(
    http: aiohttp.ClientSession, url: str, **more: Any
) -> tuple[int, str, dict[str, Any], dict[str, Any]]:
    """Status, text, usage, and the decision."""
    body = {"model": "group", "messages": [{"role": "user", "content": "What is 6 times 7?"}], **more}
    if more.get("stream"):
        body["stream_options"] = {"include_usage": True}
    headers = {"x-intellirouter-explain": "1"}
    async with http.post(f"{url}/v1/chat/completions", json=body, headers=headers) as reply:
        data = (await reply.read()).decode()
        decision = json.loads(reply.headers.get("x-intellirouter-decision", "{}"))
    if reply.status != 200:
        return reply.status, json.loads(data)["error"]["message"], {}, decision
    if not more.get("stream"):
        answer = json.loads(data)
        return 200, answer["choices"][0]["message"]["content"] or "", answer["usage"], decision
    assert data.rstrip().endswith("data: [DONE]")
    events = [json.loads(line[6:]) for line in data.split("\n") if line.startswith("data: {")]
    text = "".join(choice["delta"].get("content") or "" for event in events for choice in event["choices"])
    return 200, text, events[-1]["usage"], decision


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(
    ("merge", "said", "right"),
    [
        ("vote", ("41", "The answer is: 42", "answer: 42"), "The answer is: 42"),
        ("best-of", ("it is forty one", "the number is 42", "the number is then 42"), "the number is"),
    ],
)
async def test_one_answer_is_made_of_several_and_all_are_paid_for(
    merge: str,
    said: tuple[str, ...],
    right: str,
    stream: bool,
    start_node: StartNode,
    start_vendor: StartVendor,
    http: aiohttp.ClientSession,
) -> None:
    url, vendors = await node_of(start_node, start_vendor, ensemble(merge), *map(says, said))
    status, text, usage, decision = await ask(http, url, stream=stream)
    assert (status, text[: len(right)]) == (200, right)
    asked = [len(vendor.received) for vendor in vendors]
    assert sum(asked) >= 2 and max(asked) == 1  # a vote may be decided before the last was asked
    assert [member["role"] for member in decision["members"]] == ["member"] * 3
    assert sum(member.get("chosen", False) for member in decision["members"]) == 1
    answered = sum(member["outcome"] == "ok" for member in decision["members"])
    assert answered >= 2
    assert usage["prompt_tokens"] >= answered * faults.USAGE["prompt_tokens"]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_a_judge_sees_answers_without_names_and_takes_one(
    stream: bool, start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    def judged(request: Received) -> Play:
        asked = request.json["messages"][-1]["content"]
        letter = next(part[0] for part in asked.split("<answer ")[1:] if "forty-two" in part)
        return says(f"The best is {letter}.")(request)

    group = ensemble("judge", more='judge = "p4/x"')
    url, vendors = await node_of(
        start_node, start_vendor, group, says("it is 41"), says("it is forty-two"), says("no idea"), judged
    )
    status, text, usage, decision = await ask(http, url, stream=stream)
    assert (status, text) == (200, "it is forty-two")
    assert usage["prompt_tokens"] == 4 * faults.USAGE["prompt_tokens"]
    assert decision["members"][-1]["role"] == "judge"
    assert not {"p1", "p2", "p3"} & set(vendors[3].received[0].body.decode().split('"'))


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_a_synthesis_is_written_from_all_and_where_nobody_writes_it_a_member_answers(
    stream: bool, start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    def written(request: Received) -> Play:
        if b"nobody writes" in request.body:
            return Play.json({"error": {"message": "down"}}, 500)
        return says("the whole")(request)

    group = ensemble("synthesis", 2, 'judge = "p3/x"')
    url, vendors = await node_of(
        start_node, start_vendor, group, says("draft one"), says("draft two"), written
    )
    status, text, usage, _ = await ask(http, url, stream=stream)
    assert (status, text) == (200, "the whole")
    asked = vendors[2].received[0].json["messages"][-1]["content"]
    assert "draft one" in asked and "draft two" in asked
    assert usage["prompt_tokens"] == 3 * faults.USAGE["prompt_tokens"]
    assert usage["completion_tokens"] == 3 * faults.USAGE["completion_tokens"]

    question = [{"role": "user", "content": "nobody writes"}]
    status, text, usage, decision = await ask(http, url, stream=stream, messages=question)
    assert status == 200 and text in ("draft one", "draft two")
    assert usage["completion_tokens"] == 2 * faults.USAGE["completion_tokens"]
    assert decision["members"][-1]["outcome"] == "upstream_unavailable"
    assert [member.get("chosen", False) for member in decision["members"]].count(True) == 1


async def test_the_first_answer_ends_the_others(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    url, vendors = await node_of(
        start_node, start_vendor, ensemble("first", 2), Play(before="hang"), says("42")
    )
    status, text, _, decision = await ask(http, url)
    assert (status, text) == (200, "42")
    await asyncio.wait_for(vendors[0].cut.wait(), 60)
    assert [member["outcome"] for member in decision["members"]] == ["cancelled", "ok"]


async def test_a_silent_member_costs_the_grace_and_no_more(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    group = ensemble("best-of", more="quorum = 2\ngrace_seconds = 0.3")
    url, vendors = await node_of(
        start_node, start_vendor, group, says("it is 42"), Play(before="hang"), says("it is 42")
    )
    began = time.monotonic()
    status, text, _, _ = await ask(http, url)
    assert (status, text) == (200, "it is 42")
    assert time.monotonic() - began >= 0.3
    await asyncio.wait_for(vendors[1].cut.wait(), 60)


async def test_fewer_than_the_quorum_is_an_error_that_names_who_failed(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    down = faults.error(503, "down for now")
    url, _ = await node_of(start_node, start_vendor, ensemble("vote"), says("42"), down, down)
    status, text, _, _ = await ask(http, url)
    assert status == 503
    assert "1 of 3 members" in text and "p2/x" in text


async def test_what_no_member_may_do_for_the_caller_is_refused_as_a_model_would(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    """402 of a budget and 429 of a limit, rather than a 503 that clients try again at once."""
    digest = hashlib.sha256(b"k").hexdigest()
    key = f'[auth]\nenabled = true\n[[auth.keys]]\nname = "k"\nteam = "t"\nsha256 = "{digest}"\nscopes = ["inference"]\n'
    broke = "[budgets]\nunknown_price = {input = 1.0, output = 1.0}\n[budgets.teams]\nt = {day = 0}\n"
    for more, status in ((broke, 402), ("[limits.teams]\nt = {requests_per_minute = 0}\n", 429)):
        answers = (says("42"), says("42"), says("42"))
        url, _ = await node_of(start_node, start_vendor, ensemble("vote"), *answers, more=key + more)
        body = {"model": "group", "messages": [{"role": "user", "content": "Hi"}]}
        headers = {"authorization": "Bearer k"}
        async with http.post(f"{url}/v1/chat/completions", json=body, headers=headers) as reply:
            assert reply.status == status, await reply.text()


async def test_tools_go_to_the_first_member_alone(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    url, vendors = await node_of(
        start_node, start_vendor, ensemble("vote"), says("42"), says("42"), says("42")
    )
    tool = {
        "type": "function",
        "function": {"name": "look", "parameters": {"type": "object", "properties": {}}},
    }
    assert (await ask(http, url, tools=[tool]))[0] == 200
    assert [len(vendor.received) for vendor in vendors] == [1, 0, 0]
    assert vendors[0].received[0].json["tools"]


CASCADE = '[model_registry.models.cascade]\nsteps = ["p1/x", "p2/x"]\n'


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_a_cascade_goes_up_where_the_cheap_one_is_not_sure(
    stream: bool, start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    for cheap, right, asked in (("It is 42.", "It is 42.", 0), ("I'm not sure.", "42, surely.", 1)):
        url, vendors = await node_of(start_node, start_vendor, CASCADE, says(cheap), says("42, surely."))
        status, text, usage, _ = await ask(http, url, stream=stream)
        assert (status, text) == (200, right)
        assert len(vendors[1].received) == asked
        assert usage["prompt_tokens"] == (1 + asked) * faults.USAGE["prompt_tokens"]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_an_answer_that_breaks_the_rules_is_asked_for_again_then_of_the_next(
    stream: bool, start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    rules = CASCADE + '[model_registry.models.validation]\npattern = "^\\\\d+$"\n'

    def repaired(request: Received) -> Play:
        return says("42" if "does not hold" in request.json["messages"][-1]["content"] else "forty-two")(
            request
        )

    url, vendors = await node_of(start_node, start_vendor, rules, repaired, says("43"))
    assert (await ask(http, url, stream=stream))[:2] == (200, "42")
    assert [len(vendor.received) for vendor in vendors] == [2, 0]
    url, vendors = await node_of(start_node, start_vendor, rules, says("forty-two"), says("43"))
    assert (await ask(http, url, stream=stream))[:2] == (200, "43")
    url, vendors = await node_of(start_node, start_vendor, rules, says("forty-two"), says("forty-three"))
    status, text, _, _ = await ask(http, url, stream=stream)
    assert status == 502
    assert "pattern" in text


async def test_a_plain_model_may_have_rules_and_its_fallbacks_are_next(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    group = 'targets = ["p1/x"]\nfallbacks = ["p2/x"]\n[model_registry.models.validation]\njson_schema = { type = "object", required = ["n"] }\nrepair = false\n'
    url, vendors = await node_of(start_node, start_vendor, group, says('{"m": 1}'), says('{"n": 1}'))
    assert (await ask(http, url))[:2] == (200, '{"n": 1}')
    assert [len(vendor.received) for vendor in vendors] == [1, 1]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/messages", {"max_tokens": 50, "messages": [{"role": "user", "content": "Hi"}]}),
        ("/v1/responses", {"input": "Hi"}),
        ("/api/chat", {"messages": [{"role": "user", "content": "Hi"}]}),
        ("/v1/completions", {"prompt": "Hi"}),
    ],
)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_a_group_is_asked_like_a_model_in_every_dialect(
    path: str,
    body: dict[str, Any],
    stream: bool,
    start_node: StartNode,
    start_vendor: StartVendor,
    http: aiohttp.ClientSession,
) -> None:
    url, _ = await node_of(
        start_node, start_vendor, ensemble("vote"), says("forty-two"), says("forty-two"), says("41")
    )
    async with http.post(f"{url}{path}", json={"model": "group", "stream": stream, **body}) as reply:
        data = await reply.text()
        assert reply.status == 200
    assert "forty-two" in data


async def test_whoever_may_use_the_group_may_use_its_members_through_it(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    key = f'[auth]\nenabled = true\n[[auth.keys]]\nname = "k"\nsha256 = "{hashlib.sha256(b"k").hexdigest()}"\nscopes = ["inference"]\nmodels = ["group"]\n'
    url, _ = await node_of(
        start_node, start_vendor, ensemble("vote"), says("42"), says("42"), says("42"), more=key
    )
    headers = {"authorization": "Bearer k"}
    for model, status in (("group", 200), ("p1/x", 403)):
        body = {"model": model, "messages": [{"role": "user", "content": "Hi"}]}
        async with http.post(f"{url}/v1/chat/completions", json=body, headers=headers) as reply:
            assert reply.status == status


@pytest.mark.parametrize(
    ("off", "asked"),
    [("parallel_execution", [1, 1, 0]), ("result_merging", [1, 0, 0]), ("all", [1, 0, 0])],
)
async def test_switched_off_members_are_asked_in_turn_or_the_first_alone(
    off: str,
    asked: list[int],
    start_node: StartNode,
    start_vendor: StartVendor,
    http: aiohttp.ClientSession,
) -> None:
    names = ("parallel_execution", "result_merging", "validation", "model_selection")
    switches = "".join(f"{name} = false\n" for name in (names if off == "all" else (off,)))
    url, vendors = await node_of(
        start_node,
        start_vendor,
        ensemble("vote"),
        *map(says, ("42", "42", "41")),
        more=f"[features]\n{switches}",
    )
    assert (await ask(http, url))[:2] == (200, "42")
    assert [len(vendor.received) for vendor in vendors] == asked


async def test_rules_that_are_switched_off_hold_nothing_back(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    rules = 'targets = ["p1/x"]\n[model_registry.models.validation]\nmin_characters = 1000\n'
    off = "[features]\nvalidation = false\n"
    url, vendors = await node_of(start_node, start_vendor, rules, says("short"), more=off)
    assert (await ask(http, url))[:2] == (200, "short")
    assert len(vendors[0].received) == 1


async def test_a_cascade_passes_over_a_step_that_feedback_says_fails(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    group = CASCADE + "confidence = 0.6\n"
    more = "[router]\nlearning_interval = 0.2\n"
    url, vendors = await node_of(
        start_node, start_vendor, group, says("surely 41"), says("surely 42"), more=more
    )
    deadline, asked = time.monotonic() + 60, 0
    while len(vendors[1].received) == 0:
        assert time.monotonic() < deadline, "the cheap step is asked on and on"
        asked += 1
        body = {"model": "group", "messages": [{"role": "user", "content": f"What is 6 times {asked}?"}]}
        async with http.post(f"{url}/v1/chat/completions", json=body) as reply:
            assert reply.status == 200
            request_id = reply.headers["x-request-id"]
        async with http.post(f"{url}/v1/feedback", json={"request_id": request_id, "score": 0}) as reply:
            told = await reply.json()
            assert (reply.status, told.get("learnt")) == (200, True), told
    assert asked >= 20  # a step is given its chance


async def test_a_synthesis_begins_once_the_needed_members_and_the_grace_are_there(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    """The silent member is not waited for beyond the grace, and the first words come long before the last."""
    slowly = Play.sse(
        faults.events(["first "])[0], faults.events(["first "])[1], 3.0, *faults.events(["last"])[1:]
    )
    group = ensemble("synthesis", 3, 'judge = "p4/x"\nquorum = 2\ngrace_seconds = 0.2')
    url, vendors = await node_of(
        start_node, start_vendor, group, says("one"), says("two"), Play(before="hang"), slowly
    )
    body = {"model": "group", "stream": True, "messages": [{"role": "user", "content": "Hi"}]}
    first = last = 0.0
    async with http.post(f"{url}/v1/chat/completions", json=body) as reply:
        assert reply.status == 200
        async for line in reply.content:
            first = first or (time.monotonic() if b"first" in line else 0.0)
            last = time.monotonic() if b"last" in line else last
    assert first and last - first > 1.5
    asked = vendors[3].received[0].json["messages"][-1]["content"]
    assert "one" in asked and "two" in asked
    await asyncio.wait_for(vendors[2].cut.wait(), 60)


async def test_three_members_of_seventy_percent_are_right_as_often_as_a_majority_is(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    """.7³ + 3 · .7² · .3 = .784 of 150 questions, within three standard errors; each alone is right seven times in ten."""

    def member(seed: int) -> Callable[[Received], Play]:
        def answer(request: Received) -> Play:
            number = request.json["messages"][-1]["content"]
            drawn = hashlib.blake2b(f"{seed} {number}".encode(), digest_size=4).digest()
            right = int.from_bytes(drawn, "big") / 2**32 < 0.7
            return says("42" if right else f"{seed}")(request)

        return answer

    url, _ = await node_of(start_node, start_vendor, ensemble("vote"), *map(member, (1, 2, 3)))
    right = 0
    for number in range(150):
        status, text, _, _ = await ask(http, url, messages=[{"role": "user", "content": str(number)}])
        assert status == 200
        right += text == "42"
    assert right / 150 >= 0.784 - 3 * (0.784 * 0.216 / 150) ** 0.5
