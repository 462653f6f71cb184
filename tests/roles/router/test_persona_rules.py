"""Personas by rule, versions on trial, what came of them, and rules that answers are held to."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from intellirouter.chat.delta import Finish, Start, StreamEvent, TextDelta
from intellirouter.chat.model import ChatRequest
from intellirouter.chat.parts import Text
from intellirouter.chat.response import ChatResponse, Choice
from intellirouter.errors import ConfigError
from intellirouter.guards.outgoing import Outgoing
from intellirouter.guards.placeholders import Placeholders
from intellirouter.guards.report import Report
from intellirouter.roles.persona_layer.library import Library
from intellirouter.roles.router.pipeline.choosing import place
from intellirouter.roles.router.pipeline.persona_guards import breach_of, guards_of
from tests.conftest import StartNode, StartVendor, provider
from tests.servers import fault_vendor as faults
from tests.servers.process import command
from tests.servers.vendor import Answer, Play, Received, Vendor

BODY = {"model": "primary/m", "messages": [{"role": "user", "content": "Hello, I want a REFUND."}]}


def said(text: str) -> Play:
    body = json.loads(json.dumps(faults.whole()))
    body["choices"][0]["message"]["content"] = text
    return Play.json(body)


def streamed(text: str) -> Play:
    pieces = [faults.chunk({"role": "assistant"}), *(faults.chunk({"content": letter}) for letter in text)]
    return Play.sse(*pieces, faults.chunk({}, "stop"), b"[DONE]")


async def node_with(
    start_node: StartNode,
    start_vendor: StartVendor,
    tmp_path: Path,
    personas: dict[str, str],
    *answers: Answer,
    more: str = "",
) -> tuple[str, Vendor]:
    vendor = await start_vendor(*(answers or (said("Hi."),)))
    shelf = tmp_path / "personas"
    shelf.mkdir(exist_ok=True)
    for name, text in personas.items():
        (shelf / f"{name}.toml").write_text(text)
    toml = provider(vendor) + f'[persona_layer]\npersonas_path = "{shelf}"\n[rag]\nenabled = false\n{more}'
    node = await start_node(toml, role="All")
    return next(each.url for each in node.listening if each.role == "Router"), vendor


async def ask(
    http: aiohttp.ClientSession, url: str, **more: Any
) -> tuple[Any, aiohttp.typedefs.LooseHeaders]:
    async with http.post(f"{url}/v1/chat/completions", json={**BODY, **more}) as reply:
        assert reply.status == 200, await reply.text()
        return await reply.json(), reply.headers


RULES = """
[[router.persona_rules]]
persona = "vip"
tags = ["vip", "gold"]
[[router.persona_rules]]
persona = "refunds"
content = "refund|money back"
models = ["primary/m"]
"""


@pytest.mark.parametrize(
    ("more", "persona"),
    [
        ({}, "refunds"),
        ({"intellirouter": {"tags": ["gold"]}}, "vip"),
        ({"persona": "analyst"}, "analyst"),
        ({"messages": [{"role": "user", "content": "Hello"}]}, None),
        ({"messages": [*BODY["messages"], {"role": "user", "content": "No, thanks."}]}, None),
    ],
)
async def test_the_first_rule_that_holds_names_the_persona(
    more: dict[str, Any],
    persona: str | None,
    start_node: StartNode,
    start_vendor: StartVendor,
    http: aiohttp.ClientSession,
    tmp_path: Path,
) -> None:
    personas = {"vip": 'prompt = "Serve well."', "refunds": 'prompt = "Give money back."'}
    url, vendor = await node_with(start_node, start_vendor, tmp_path, personas, more=RULES)
    _, headers = await ask(http, url, **more)
    found = headers.get("x-intellirouter-persona")
    assert (found.partition(";")[0] if found else None) == persona
    first = vendor.received[0].json["messages"][0]
    assert (first["role"] == "system") is (persona is not None)


@pytest.mark.parametrize(
    ("rules", "problem"),
    [
        ('[[router.persona_rules]]\npersona = "x"\n', "at least one of keys"),
        ('[[router.persona_rules]]\npersona = "x"\ncontent = "("\n', "no regular expression"),
        ('[[router.persona_trials]]\npersona = "x"\nversions = { 1 = 60, 2 = 50 }\n', "100 percent"),
    ],
)
async def test_a_rule_that_makes_no_sense_is_named(rules: str, problem: str, start_node: StartNode) -> None:
    with pytest.raises(ConfigError, match=problem):
        await start_node(rules)


async def test_versions_on_trial_stay_with_a_conversation_and_their_outcomes_are_told(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    trial = '[[router.persona_trials]]\npersona = "clerk"\nversions = { 1 = 40 }\n'
    (tmp_path / "personas").mkdir()
    library = Library(tmp_path / "personas")
    for words in ("First.", "Second."):
        library.write("clerk", f'prompt = "{words}"', ".toml")
    url, vendor = await node_with(start_node, start_vendor, tmp_path, {}, more=trial)
    versions: dict[str, set[str]] = {}
    for number in range(40):
        name = f"c{number % 20}"
        _, headers = await ask(http, url, persona="clerk", conversation=name)
        versions.setdefault(name, set()).add(headers["x-intellirouter-persona"])
    assert all(len(seen) == 1 for seen in versions.values())
    counted = Counter(seen.pop() for seen in versions.values())
    assert set(counted) == {"clerk; version=1", "clerk; version=2"}
    _, headers = await ask(http, url, persona="clerk@1")
    assert headers["x-intellirouter-persona"] == "clerk; version=1"
    assert vendor.received[-1].json["messages"][0]["content"] == "First."
    async with http.post(f"{url}/v1/chat/completions", json={**BODY, "persona": "clerk@9"}) as reply:
        assert reply.status == 404
        assert "no version 9" in await reply.text()
    (tmp_path / "router.toml").write_text(f'[paths]\ndata_dir = "{tmp_path / "data-1"}"\n')
    asked = ("persona", "outcomes", "clerk", "--config", str(tmp_path / "router.toml"))
    rows: list[dict[str, Any]] = []
    async with asyncio.timeout(30):  # the Router writes them down every second
        while sum(row["answers"] for row in rows) < 41:
            code, out, errors = await command(*asked, "--json")
            assert code == 0, errors
            rows = json.loads(out)
    assert [row["version"] for row in rows] == [1, 2]
    assert all(row["output_tokens"] and row["seconds"] > 0 and not row["errors"] for row in rows)
    _, out, _ = await command(*asked)
    assert all(str(row["answers"]) in out for row in rows)


@given(st.integers(0, 10_000))
def test_places_are_spread_evenly(seed: int) -> None:
    places = [place("clerk", f"{seed}-{number}") for number in range(400)]
    assert all(0 <= found < 100 for found in places)
    assert 0.15 < sum(found < 25 for found in places) / len(places) < 0.35


GUARDED = """
prompt = "Help."
[guardrails]
forbidden_topics = ["Poker night"]
refusal = "Not that."
disclaimer = "No advice."
max_length = 30
"""


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("answer", "told", "reason", "rule"),
    [
        ("All is well.", "All is well.\n\nNo advice.", "stop", None),
        ("It is so. No advice.", "It is so. No advice.", "stop", None),
        ("Come to poker NIGHT at nine.", "Not that.", "content_filter", "topic"),
        (
            "One two three four five six seven eight.",
            "One two three four five six\n\nNo advice.",
            "length",
            "length",
        ),
    ],
)
async def test_an_answer_is_held_to_the_rules_of_its_persona(
    answer: str,
    told: str,
    reason: str,
    rule: str | None,
    stream: bool,
    start_node: StartNode,
    start_vendor: StartVendor,
    http: aiohttp.ClientSession,
    tmp_path: Path,
) -> None:
    play = streamed(answer) if stream else said(answer)
    url, _ = await node_with(start_node, start_vendor, tmp_path, {"careful": GUARDED}, play)
    body = {**BODY, "persona": "careful", "stream": stream, "conversation": "c"}
    async with http.post(f"{url}/v1/chat/completions", json=body) as reply:
        if not stream:
            choice = (await reply.json())["choices"][0]
            assert (choice["message"]["content"], choice["finish_reason"]) == (told, reason)
            assert reply.headers.get("x-intellirouter-guardrail") == rule
        else:
            lines = [line[6:] for line in (await reply.text()).splitlines() if line.startswith("data: {")]
            choices = [choice for line in lines for choice in json.loads(line)["choices"]]
            text = "".join(choice["delta"].get("content") or "" for choice in choices)
            # what was said before a topic came up cannot be unsaid
            assert text == (told if rule != "topic" else "Come to \n\nNot that.")
            assert choices[-1]["finish_reason"] == reason
    async with http.get(f"{url}/v1/conversations/c") as reply:
        kept = await reply.json()
    assert "poker" not in json.dumps(kept).lower()


@given(
    st.lists(st.sampled_from(["poker", "pok", "er", " ", "night", "Poker Night", "fine"]), max_size=12),
    st.integers(1, 7),
)
def test_a_stream_never_lets_a_topic_out_however_it_is_cut(words: list[str], size: int) -> None:
    text = "".join(words)
    asked = ChatRequest(model="m", messages=())
    guards, report = guards_of({"forbidden_topics": ["poker night"], "refusal": "No."}, data=False), Report()
    outgoing = Outgoing(guards, Placeholders(), asked, report)
    guard, out = outgoing.stream(), ""
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    deltas = [TextDelta(piece) for piece in pieces]
    for delta in (Start("i", "m"), *deltas, Finish("stop")):
        event = StreamEvent(guard.feed((delta,)))
        out += "".join(each.text for each in event.deltas if isinstance(each, TextDelta))
    topic = re.compile(r"(?<!\w)poker ?night(?!\w)", re.IGNORECASE)  # whole words, as people write them
    named = topic.search(text) is not None
    assert topic.search(out) is None
    assert out.endswith("No.") if named else out == text
    answer = ChatResponse(id="i", model="m", choices=(Choice((Text(text),)),))
    report.found.clear()
    outgoing.whole(answer)
    assert (breach_of(report) == "topic") is named


SCHEMA = """
prompt = "Answer in JSON."
[guardrails]
disclaimer = "Never in data."
[guardrails.output_schema]
type = "object"
required = ["n"]
properties = { n = { type = "integer" } }
"""


@pytest.mark.parametrize(
    ("second", "status"), [('{"n": 2}', 200), ('{"n": "two"}', 502)], ids=["mended", "wrong again"]
)
async def test_an_answer_that_does_not_hold_to_the_schema_is_asked_for_once_more(
    second: str,
    status: int,
    start_node: StartNode,
    start_vendor: StartVendor,
    http: aiohttp.ClientSession,
    tmp_path: Path,
) -> None:
    def answers(request: Received) -> Play:
        return said("two" if len(request.json["messages"]) < 4 else second)

    url, vendor = await node_with(start_node, start_vendor, tmp_path, {"exact": SCHEMA}, answers)
    async with http.post(f"{url}/v1/chat/completions", json={**BODY, "persona": "exact"}) as reply:
        assert reply.status == status
        text = await reply.text()
    assert len(vendor.received) == 2
    assert (
        "does not hold to the JSON schema (it is not JSON)"
        in vendor.received[1].json["messages"][-1]["content"]
    )
    if status == 200:
        assert json.loads(text)["choices"][0]["message"]["content"] == second
        assert json.loads(text)["usage"]["total_tokens"] == 2 * faults.whole()["usage"]["total_tokens"]
    else:
        assert "output_schema" in text
