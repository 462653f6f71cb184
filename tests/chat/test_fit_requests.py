"""What fitting makes of requests, with the right values; `tests/conformance/pairs` tries that no vendor refuses them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from intellirouter.chat.anthropic_messages.format import FORMAT as MESSAGES
from intellirouter.chat.fit.names import with_names
from intellirouter.chat.gemini.format import FORMAT as GEMINI
from intellirouter.chat.openai_chat.format import FORMAT as CHAT
from intellirouter.chat.openai_responses.format import FORMAT as RESPONSES
from intellirouter.chat.openai_responses.response import encode_response
from intellirouter.chat.parts import Text, ToolCall
from intellirouter.chat.response import ChatResponse, Choice
from intellirouter.errors import InvalidRequest, UnsupportedByTarget
from intellirouter.inference.cache.key import cache_key
from intellirouter.providers.adapter import HttpResponse, Target
from intellirouter.providers.table import ADAPTERS
from intellirouter.security.caller import Caller
from tests.conformance.dialects.test_cells import holds
from tests.conformance.pairs.asked import (
    ASKED,
    LONG,
    PNG,
    WORD,
    a,
    chat,
    claude,
    ctool,
    fcall,
    ftool,
    item,
    responses,
    result,
    rtool,
    s,
    u,
    use,
)

FRONT = {"chat": CHAT, "responses": RESPONSES, "messages": MESSAGES, "gemini": GEMINI}


def sent(front: str, body: dict[str, Any], kind: str, model: str = "m") -> tuple[Any, str]:
    """The body that goes out, and the notes."""
    request = FRONT[front].decode_request(body, {}).routed(model=model)
    http = ADAPTERS[kind].build_chat(request, Target("p", model, "https://h/v1"))
    return json.loads(http.body), " ".join(http.notes)


def asked(dialect: str, feature: str) -> dict[str, Any]:
    return dict(next(body for name, body in ASKED[dialect]() if name == feature))


CALL_TURN = {"role": "assistant", "tool_calls": [{"function": {"name": "look_up"}}]}
CASES: list[tuple[str, str, dict[str, Any], str, Any]] = [
    # system messages
    ("joined and first", "chat", asked("openai_chat", "system in the middle"), "vllm", {"messages": [{"role": "system", "content": "A\n\nB"}, {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes?"}, {"role": "user", "content": "Go"}]}),
    ("left where it is", "chat", asked("openai_chat", "system in the middle"), "openai", {"messages": [{"content": "A"}, {"content": "Hi"}, {"content": "Yes?"}, {"role": "system", "content": "B"}, {"content": "Go"}]}),
    ("Codex begins", "responses", asked("openai_responses", "Codex begins"), "together", {"messages": [{"role": "system", "content": "You are Codex.\n\nRules"}, {"role": "user", "content": "Env\n\nGo"}]}),
    # turns
    ("Mistral's bridge", "messages", asked("anthropic_messages", "words after a result"), "mistral", {"messages": [{"role": "user"}, {"role": "assistant"}, {"role": "tool", "content": "42"}, {"role": "assistant", "content": "The tool has answered."}, {"role": "user", "content": "See to it."}]}),
    ("Mistral's prefix", "messages", claude(u("Hi"), a("{")), "mistral", {"messages": [{"role": "user"}, {"role": "assistant", "content": "{", "prefix": True}]}),
    ("Gemini goes on", "chat", chat(u("Hi"), a("I ")), "google", {"contents": [{"role": "user"}, {"role": "model"}, {"role": "user"}]}),
    ("assistant first", "chat", chat(a("Welcome!"), u("Hi")), "anthropic", {"messages": [{"role": "user", "content": "."}, {"role": "assistant", "content": "Welcome!"}, {"role": "user", "content": "Hi"}]}),
    ("white space", "chat", chat(u("Hi"), a("\n\n"), u("Go")), "anthropic", {"messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}, {"type": "text", "text": "Go"}]}]}),
    ("nothing at all", "chat", chat(u("")), "anthropic", {"messages": [{"role": "user", "content": "."}]}),
    ("an empty turn of theirs", "chat", chat(u("Hi"), a(None), u("Go")), "openai", {"messages": [{"content": "Hi"}, {"role": "user", "content": "Go"}]}),
    ("an empty last turn", "chat", chat(u("Hi"), a("Yes?"), u([])), "anthropic", {"messages": [{"content": "Hi"}, {"content": "Yes?"}, {"role": "user", "content": "."}]}),
    ("results keep together", "chat", chat(u("Hi"), a(None, tool_calls=[fcall("c1")]), s("B"), result("c1"), tools=[ftool()]), "openai", {"messages": [{"role": "user"}, CALL_TURN, {"role": "tool"}, {"role": "system", "content": "B"}]}),
    # the client's own tools
    ("additional tools", "responses", asked("openai_responses", "additional tools"), "openai", {"tools": [{"function": {"name": "calendar__create", "description": "Of the tools 'calendar__…': All about dates."}}, {"function": {}}, {"function": {"name": "look_up"}}], "messages": [{"role": "user", "content": "Hi"}]}),
    ("a tool search", "responses", asked("openai_responses", "a tool search"), "openai", {"tools": [{"function": {"name": "tool_search"}}, {"function": {"name": "look_up"}}, {"function": {"name": "cal_create"}}], "messages": [{"role": "user"}, {"tool_calls": [{"id": "s1", "function": {"name": "tool_search", "arguments": '{"query":"cal"}'}}]}, {"role": "tool", "tool_call_id": "s1", "content": "These tools can be called now: cal_create."}]}),
    ("a local shell", "responses", asked("openai_responses", "a local shell"), "anthropic", {"tools": [{"name": "local_shell"}], "messages": [{"role": "user"}, {"content": [{"type": "tool_use", "name": "local_shell", "input": {"command": ["ls"]}}]}, {"content": [{"type": "tool_result", "content": "a.txt"}]}]}),
    ("a shell", "responses", asked("openai_responses", "a shell"), "google", {"contents": [{}, {"parts": [{"functionCall": {"name": "shell", "args": {"commands": ["ls"]}}}]}, {"parts": [{"functionResponse": {"response": {"result": "a\n(exit code 0)"}}}]}]}),
    ("a patch", "responses", asked("openai_responses", "a patch"), "ollama", {"messages": [{}, {"tool_calls": [{"function": {"name": "apply_patch", "arguments": {"type": "create_file", "path": "a", "diff": "+x"}}}]}, {"role": "tool", "content": "Done."}]}),
    ("a grammar", "responses", asked("openai_responses", "a grammar"), "groq", {"tools": [{"type": "function", "function": {"name": "apply_patch", "description": "The input must be plain text that follows this lark grammar:\nstart: X"}}], "messages": [{}, {"tool_calls": [{"function": {"arguments": '{"input":"*** Begin"}'}}]}, {"role": "tool", "content": "ok"}]}),
    ("Claude's own tools", "messages", asked("anthropic_messages", "the client's own tools"), "openai", {"tools": [{"function": {"name": "bash"}}, {"function": {"name": "str_replace_based_edit_tool"}}, {"function": {"name": "memory"}}]}),
    # searches
    ("a search by Claude", "responses", asked("openai_responses", "a hosted search"), "anthropic", {"tools": [{"type": "web_search_20250305", "name": "web_search", "allowed_domains": ["a.org"]}]}),
    ("a search by OpenAI", "messages", asked("anthropic_messages", "a hosted search beside tools"), "openai_responses", {"tools": [{"name": "look_up"}, {"type": "web_search"}]}),
    ("a search by OpenRouter", "responses", asked("openai_responses", "a hosted search beside tools"), "openrouter", {"tools": [{"type": "function"}, {"type": "openrouter:web_search"}]}),
    ("a search asked in options", "chat", asked("openai_chat", "search"), "openai_responses", {"tools": [{"type": "web_search", "user_location": {"type": "approximate", "country": "DE"}}]}),
    # blocks with words in them
    ("a search result", "messages", asked("anthropic_messages", "a search result"), "openai", {"messages": [{}, {}, {"role": "tool", "content": "Doc, s:\nFACT42"}]}),
    ("a document of blocks", "messages", asked("anthropic_messages", "a document of blocks"), "ollama", {"messages": [{"role": "user", "content": "T:\nFACT42"}]}),
    ("Cursor's blocks", "chat", asked("openai_chat", "blocks of Anthropic"), "anthropic", {"messages": [{}, {"content": [{"type": "tool_use", "id": "t1", "name": "look_up"}]}, {"content": [{"type": "tool_result", "tool_use_id": "t1", "content": "RESULT"}]}]}),
    ("Cursor's blocks to OpenAI", "chat", asked("openai_chat", "blocks of Anthropic"), "openai", {"messages": [{}, {"tool_calls": [{"id": "t1"}]}, {"role": "tool", "tool_call_id": "t1", "content": "RESULT"}]}),
    ("a table as words", "chat", asked("openai_chat", "a table"), "openrouter", {"messages": [{"content": "a.csv:\nname,city\nAnn,Bonn\n"}]}),
    # thoughts
    ("DeepSeek's empty thought", "messages", claude(u("Hi"), a([use()]), u([{"type": "tool_result", "tool_use_id": "t1", "content": "1"}]), tools=[ctool()]), "deepseek", {"messages": [{}, {"reasoning_content": "", "tool_calls": [{}]}, {}]}),
    # settings
    ("a long user", "messages", claude(metadata={"user_id": WORD}), "openrouter", {}),
    ("few tokens", "chat", chat(max_tokens=1), "openai_responses", {"max_output_tokens": 16}),
    ("greedy", "chat", chat(temperature=0, top_p=0.5), "mistral", {"temperature": 0}),
    ("a tier", "chat", chat(service_tier="default"), "groq", {"service_tier": "on_demand"}),
    ("JSON in words", "chat", chat(response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object", "properties": {"q": {}}}}}), "deepseek", {"response_format": {"type": "json_object"}, "messages": [{"role": "system"}, {"role": "user"}]}),
    ("an answer's schema stays as it is", "chat", chat(response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": {"$schema": "http://json-schema.org/draft-07/schema#", "type": "object"}}}), "openai", {"response_format": {"json_schema": {"schema": {"$schema": "http://json-schema.org/draft-07/schema#"}}}}),
    ("an address of a person", "chat", chat(user="ann@example.org"), "anthropic", {}),
    ("a key of the cache", "chat", chat(prompt_cache_key="k" * 90), "openai_responses", {}),
    ("effort in a known word", "chat", chat(reasoning_effort="minimal"), "vllm", {"reasoning_effort": "low"}),
    ("wrapped base64", "chat", chat(u([{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG[:20]}\n{PNG[20:]}"}}])), "anthropic", {"messages": [{"content": [{"source": {"data": PNG}}]}]}),
    ("a jpg", "chat", asked("openai_chat", "a wrong type"), "anthropic", {"messages": [{"content": [{"source": {"media_type": "image/jpeg"}}]}]}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("case", "front", "body", "kind", "expected"), CASES, ids=[case[0] for case in CASES]
)
def test_a_request_is_made_to_fit(
    case: str, front: str, body: dict[str, Any], kind: str, expected: Any
) -> None:
    out, notes = sent(front, body, kind)
    assert holds(out, expected), (case, out)
    if isinstance(out.get("messages"), list) and "messages" in expected:
        assert len(out["messages"]) == len(expected["messages"]), out
    if kind == "mistral" and case == "greedy":
        assert "top_p" not in out
        assert "'top_p' was left out" in notes
    if case == "an address of a person":
        assert "@" not in out["metadata"]["user_id"]
        assert "its digest" in notes
    if case == "a key of the cache":
        assert len(out["prompt_cache_key"]) == 64
    if case == "a long user":
        assert out["user"] != WORD
        assert len(out["user"]) <= 128


OF_CLAUDE = {"type": "web_search_20250305", "name": "web_search"}
PLACE = {"type": "approximate", "country": "DE"}
SEARCHES: list[tuple[str, str, dict[str, Any], str, Any, tuple[str, ...]]] = [
    # what is asked by whom, of whom, what goes out, and what the notes say
    ("all of Claude's", "messages", {**OF_CLAUDE, "blocked_domains": ["a.org/x"], "max_uses": 3, "user_location": PLACE}, "openai_responses", {"type": "web_search", "filters": {"blocked_domains": ["a.org"]}, "user_location": PLACE}, ("'max_uses'",)),
    ("allowed", "messages", {**OF_CLAUDE, "allowed_domains": ["https://a.org/"]}, "openai_responses", {"type": "web_search", "filters": {"allowed_domains": ["a.org"]}}, ()),
    ("all of OpenAI's", "responses", {"type": "web_search", "filters": {"blocked_domains": ["a.org"]}, "user_location": PLACE, "search_context_size": "low"}, "anthropic", {**OF_CLAUDE, "blocked_domains": ["a.org"], "user_location": PLACE}, ("'search_context_size'",)),
    ("both lists, apart", "responses", {"type": "web_search", "filters": {"allowed_domains": ["a.org", "b.org"], "blocked_domains": ["b.org", "c.org"]}}, "anthropic", {**OF_CLAUDE, "allowed_domains": ["a.org"]}, ()),
    ("to OpenRouter", "messages", {**OF_CLAUDE, "blocked_domains": ["a.org/x"], "max_uses": 3, "user_location": PLACE}, "openrouter", {"type": "openrouter:web_search", "parameters": {"excluded_domains": ["a.org/x"], "user_location": PLACE}}, ("'max_uses'",)),
    ("of OpenRouter", "chat", {"type": "openrouter:web_search", "parameters": {"excluded_domains": ["a.org"], "max_results": 3}}, "anthropic", {**OF_CLAUDE, "blocked_domains": ["a.org"]}, ("'max_results'",)),
    ("to Vertex", "messages", {**OF_CLAUDE, "blocked_domains": ["a.org"], "user_location": PLACE}, "vertex", {"googleSearch": {"excludeDomains": ["a.org"]}}, ("'user_location'",)),
    ("to Gemini", "messages", {**OF_CLAUDE, "max_uses": 1, "user_location": PLACE}, "google", {"googleSearch": {}}, ("'max_uses'", "'user_location'")),
    ("of Gemini, to Claude", "gemini", {"googleSearch": {}}, "anthropic", OF_CLAUDE, ()),
    ("of Vertex, to Claude", "gemini", {"googleSearch": {"excludeDomains": ["a.org"]}}, "anthropic", {**OF_CLAUDE, "blocked_domains": ["a.org"]}, ()),
    ("of Gemini, to OpenAI", "gemini", {"googleSearch": {"timeRangeFilter": {"startTime": "2026-01-01T00:00:00Z"}}}, "openai_responses", {"type": "web_search"}, ("'timeRangeFilter'",)),
    ("of Vertex, to OpenAI", "gemini", {"googleSearch": {"excludeDomains": ["a.org"]}}, "openai_responses", {"type": "web_search", "filters": {"blocked_domains": ["a.org"]}}, ()),
    ("without the live web", "responses", {"type": "web_search", "external_web_access": False}, "openai_responses", {"type": "web_search", "external_web_access": False}, ()),
]  # fmt: skip
GEMINI_ASKS = {"model": "alias", "contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}


def searching(front: str, *tools: dict[str, Any]) -> dict[str, Any]:
    made: Any = {
        "chat": chat,
        "responses": responses,
        "messages": claude,
        "gemini": lambda **more: {**GEMINI_ASKS, **more},
    }[front]
    return dict(made(tools=list(tools)))  # fmt: skip


@pytest.mark.parametrize(
    ("case", "front", "tool", "kind", "expected", "said"), SEARCHES, ids=[case[0] for case in SEARCHES]
)
def test_a_search_keeps_its_bounds_from_vendor_to_vendor(
    case: str, front: str, tool: dict[str, Any], kind: str, expected: Any, said: tuple[str, ...]
) -> None:
    out, notes = sent(front, searching(front, tool), kind)
    assert out["tools"] == [expected]
    assert [name for name in said if name not in notes] == []
    assert notes.count("was left out") == len(said)


@pytest.mark.parametrize(
    ("front", "tool", "kind", "why"),
    [
        ("messages", {**OF_CLAUDE, "allowed_domains": ["a.org"]}, "google", "list of sites"),
        ("messages", {**OF_CLAUDE, "blocked_domains": ["a.org"]}, "google", "leave out"),
        ("messages", {**OF_CLAUDE, "allowed_domains": ["a.org"]}, "vertex", "list of sites"),
        ("messages", {**OF_CLAUDE, "allowed_domains": ["a.org/x"]}, "openai_responses", "whole sites"),
        ("messages", {**OF_CLAUDE, "allowed_domains": [f"{n}.org" for n in range(101)]}, "openai_responses", "at most 100"),
        ("responses", {"type": "web_search", "filters": {"allowed_domains": ["a.org"], "blocked_domains": ["x.a.org"]}}, "anthropic", "beside"),
        ("responses", {"type": "web_search", "filters": {"allowed_domains": ["a.org"], "blocked_domains": ["a.org"]}}, "anthropic", "no site"),
        ("responses", {"type": "web_search", "external_web_access": False}, "anthropic", "live web"),
        ("gemini", {"googleSearch": {"excludeDomains": [f"{n}.org" for n in range(101)]}}, "openai_responses", "at most 100"),
        ("messages", {**OF_CLAUDE, "blocked_domains": [f"{n}.org" for n in range(2_001)]}, "vertex", "at most 2000"),
    ],
)  # fmt: skip
def test_no_target_searches_what_the_caller_shut_out(
    front: str, tool: dict[str, Any], kind: str, why: str
) -> None:
    with pytest.raises(UnsupportedByTarget, match=why):
        sent(front, searching(front, tool), kind)
    if front != "gemini":
        beside = {"messages": ctool(), "responses": rtool()}[front]
        out, notes = sent(front, searching(front, tool, beside), kind, "gemini-3-pro")
        assert len(out["tools"]) == 1
        assert "earch" not in json.dumps(out["tools"])
        assert why in notes


@pytest.mark.parametrize(
    ("turns", "note"),
    [
        ((s("A"), u("Hi")), ""),
        ((s("A"), s("B"), u("Hi")), "The system messages were sent as one."),
        ((u("Hi"), s("A")), "A system message inside the conversation was moved to its start."),
    ],
)
def test_what_becomes_of_system_messages_is_said(turns: tuple[Any, ...], note: str) -> None:
    assert sent("chat", chat(*turns), "vllm")[1] == note


@pytest.mark.parametrize(("given", "goes"), [(0, 0), (0.5, 0.5), (1.5, 1.5), (1.9, 1.5)])
def test_a_temperature_within_what_is_taken_goes_as_it_is_without_a_word(given: float, goes: float) -> None:
    out, notes = sent("chat", chat(u("Hi"), temperature=given), "mistral")
    assert (out["temperature"], "'temperature'" in notes) == (goes, given != goes)


def test_a_part_nobody_knows_is_not_lost_in_silence() -> None:
    video = chat(
        u([{"type": "text", "text": "See"}, {"type": "scent_url", "scent_url": {"url": "https://h/v"}}])
    )
    with pytest.raises(UnsupportedByTarget, match="scent_url"):
        sent("chat", video, "anthropic")
    out, _ = sent("chat", video, "vllm")
    assert out["messages"] == video["messages"], "a vendor of the same dialect may know it"
    with pytest.raises(InvalidRequest, match="item_reference"):
        sent("responses", responses(u("Hi"), item("item_reference", id="fc_1")), "openai")


@pytest.mark.parametrize("stream", [False, True])
def test_the_clients_own_calls_come_back_as_its_items(stream: bool) -> None:
    request = RESPONSES.decode_request(responses(tools=[{"type": "local_shell"}, rtool()]), {})
    calls = [fcall("c1", "local_shell", '{"command":["ls","-l"]}'), fcall("c2")]
    if stream:
        pieces = [{"index": n, **call} for n, call in enumerate(calls)]
        chunks = [
            {"id": "x", "choices": [{"index": 0, "delta": {"tool_calls": [piece]}}]} for piece in pieces
        ]
        chunks.append({"id": "x", "choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]})
        parser, encoder = ADAPTERS["openai"].new_stream(), RESPONSES.new_encoder(request)
        events = [
            e for chunk in chunks for e in parser.feed(b"data: " + json.dumps(chunk).encode() + b"\n\n")
        ]
        told = encoder.encode(tuple(d for e in events for d in e.deltas)) + encoder.finish()
        data = [json.loads(line[6:]) for line in told.decode().splitlines() if line.startswith("data: ")]
        output = data[-1]["response"]["output"]
        kinds = [event["item"]["type"] for event in data if event["type"] == "response.output_item.done"]
        assert kinds == ["local_shell_call", "function_call"]
    else:
        message = {"role": "assistant", "content": None, "tool_calls": calls}
        whole = {
            "id": "x",
            "model": "m",
            "choices": [{"index": 0, "finish_reason": "tool_calls", "message": message}],
        }
        answer = ADAPTERS["openai"].parse_chat(HttpResponse(200, {}, json.dumps(whole).encode()))
        output = json.loads(encode_response(answer, request))["output"]
    assert output[0]["type"] == "local_shell_call"
    assert output[0]["call_id"] == "c1"
    assert output[0]["action"] == {"type": "exec", "env": {}, "command": ["ls", "-l"]}
    assert output[1]["type"] == "function_call"


DETAILS = [
    {
        "type": "reasoning.text",
        "text": "hm",
        "signature": "c2ln",
        "format": "anthropic-claude-v1",
        "index": 0,
    },
    {"type": "reasoning.encrypted", "data": "abc", "index": 1},
]


@pytest.mark.parametrize("front", ["chat", "messages", "responses"])
@pytest.mark.parametrize("stream", [False, True])
def test_openrouters_details_come_back_as_they_were(front: str, stream: bool) -> None:
    """An answer with `reasoning_details` through a client of any dialect, and its next turn."""
    wire = FRONT[front]
    first = {"chat": chat(), "messages": claude(), "responses": responses()}[front]
    request = wire.decode_request(first, {})
    message = {"role": "assistant", "content": "Yes.", "reasoning": "hm", "reasoning_details": DETAILS}
    if stream:
        pieces: list[dict[str, Any]] = [
            {"reasoning": "h", "reasoning_details": [{**DETAILS[0], "text": "h", "signature": None}]},
            {"reasoning": "m", "reasoning_details": [{**DETAILS[0], "text": "m"}]},
            {"reasoning_details": [DETAILS[1]]},
            {"content": "Yes."},
        ]
        chunks = [{"id": "x", "choices": [{"index": 0, "delta": piece}]} for piece in pieces]
        chunks.append({"id": "x", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        parser, encoder = ADAPTERS["openrouter"].new_stream(), wire.new_encoder(request)
        events = [
            e for chunk in chunks for e in parser.feed(b"data: " + json.dumps(chunk).encode() + b"\n\n")
        ]
        told = (encoder.encode(tuple(d for e in events for d in e.deltas)) + encoder.finish()).decode()
        turn = _gathered(front, [json.loads(x[6:]) for x in told.splitlines() if x.startswith("data: {")])
    else:
        whole = {
            "id": "x",
            "model": "m",
            "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
        }
        answer = ADAPTERS["openrouter"].parse_chat(HttpResponse(200, {}, json.dumps(whole).encode()))
        body = json.loads(wire.encode_response(answer))
        turn = {"chat": lambda: [body["choices"][0]["message"]], "messages": lambda: [{"role": "assistant", "content": body["content"]}], "responses": lambda: body["output"]}[front]()  # fmt: skip
    again = {
        "chat": chat(u("Hi"), *turn, u("Go")),
        "messages": claude(u("Hi"), *turn, u("Go")),
        "responses": responses(u("Hi"), *turn, u("Go")),
    }[front]
    out, _ = sent(front, again, "openrouter", "anthropic/claude")
    assert out["messages"][1]["reasoning_details"] == DETAILS
    elsewhere, _ = sent(front, again, "vllm")
    assert "reasoning_details" not in elsewhere["messages"][1] or front == "chat"


def _gathered(front: str, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The assistant's turn as a client of the dialect puts it together."""
    if front == "responses":
        return list(events[-1]["response"]["output"])
    if front == "chat":
        deltas = [event["choices"][0]["delta"] for event in events if event["choices"]]
        details = [d for delta in deltas for d in delta.get("reasoning_details") or ()]
        return [{"role": "assistant", "content": "Yes.", "reasoning_details": details}]
    blocks: list[dict[str, Any]] = []
    for event in events:
        if event["type"] == "content_block_start":
            blocks.append(event["content_block"])
        elif event["type"] == "content_block_delta":
            for key, value in event["delta"].items():
                if key != "type":
                    blocks[-1][key] = blocks[-1].get(key, "") + value
    return [{"role": "assistant", "content": blocks}]


@pytest.mark.parametrize("kind", sorted(ADAPTERS))
def test_claude_codes_billing_header_goes_to_anthropic_alone(kind: str) -> None:
    header = "x-anthropic-billing-header: cc_version=2.1; cch=%s;"

    def body(cch: str) -> dict[str, Any]:
        blocks = [{"type": "text", "text": header % cch}, {"type": "text", "text": "You are Claude."}]
        return claude(system=blocks)

    one, two = (sent("messages", body(cch), kind)[0] for cch in ("71fea", "0beef"))
    assert ("billing" in json.dumps(one)) is (kind == "anthropic")
    assert "You are Claude." in json.dumps(one)
    assert (one == two) is (kind != "anthropic"), "the same prompt begins the same"


def test_it_is_no_part_of_our_own_caches_key() -> None:
    def key(cch: str) -> str:
        blocks = [
            {"type": "text", "text": f"x-anthropic-billing-header: cch={cch};"},
            {"type": "text", "text": "A"},
        ]
        return cache_key(MESSAGES.decode_request(claude(system=blocks), {}), Caller(tenant="t"), "m")

    assert key("1") == key("2")


def test_a_picture_from_a_tool_goes_where_the_model_takes_it() -> None:
    body = asked("anthropic_messages", "a picture in a result")
    old, _ = sent("messages", body, "google", "gemini-2.5-flash")
    assert "parts" not in old["contents"][2]["parts"][0]["functionResponse"]
    assert old["contents"][2]["parts"][-1]["inlineData"]["data"] == PNG
    new, _ = sent("messages", body, "google", "gemini-3-pro")
    assert new["contents"][2]["parts"][0]["functionResponse"]["parts"][0]["inlineData"]["data"] == PNG
    for kind in ("openai", "ollama"):
        out, notes = sent("messages", body, kind)
        assert [turn["role"] for turn in out["messages"]][-3:] == ["tool", "tool", "user"]
        assert PNG in json.dumps(out["messages"][-1])
        assert "in a user message after it" in notes


def test_a_name_is_always_sent_alike() -> None:
    names = {
        sent("chat", chat(tools=[ftool(LONG)]), "openai")[0]["tools"][0]["function"]["name"] for _ in range(3)
    }
    assert len(names) == 1
    assert len(names.pop()) <= 64


@pytest.mark.parametrize(
    "turns", [4, 5_000]
)  # the second took half a minute while each looked through those before it
def test_calls_that_share_an_id_get_one_of_their_own_each_and_always_the_same(turns: int) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    messages: list[dict[str, Any]] = [{"role": "user", "content": "Hi"}]
    for number in range(turns):
        messages.append({"role": "assistant", "content": None, "tool_calls": [call]})
        messages.append({"role": "tool", "tool_call_id": "c", "content": str(number)})

    def ids(count: int) -> list[str]:
        out, _ = sent("chat", {"model": "m", "messages": messages[: 1 + 2 * count]}, "anthropic")
        calls = [turn["content"][0]["id"] for turn in out["messages"][1::2]]
        results = [turn["content"][0] for turn in out["messages"][2::2]]
        assert [one["tool_use_id"] for one in results] == calls
        assert str(count - 1) in json.dumps(results[-1])
        return calls

    every = ids(turns)
    assert len(set(every)) == turns and every[0] == "c"
    assert ids(turns - 1) == every[:-1], "what a vendor keeps begins as it did"


def test_a_whole_answer_calls_tools_by_the_names_the_client_gave() -> None:
    calls = (Text("Two."), ToolCall("1", "short", "{}"), ToolCall("2", "own", "{}"))
    answer = ChatResponse(id="r", model="m", choices=(Choice(content=calls),), raw=b"{}", dialect="chat")
    told = with_names(answer, {"short": LONG})
    assert told.choices[0].content == (Text("Two."), ToolCall("1", LONG, "{}"), ToolCall("2", "own", "{}"))
    assert (told.raw, told.dialect) == (None, None)  # the vendor's own bytes have the other name


@pytest.mark.parametrize(
    ("kind", "model", "expected"),
    [
        ("openai", "gpt-4o", None),
        ("openai", "gpt-4.1-mini", None),
        ("openai", "gpt-5", "high"),
        ("groq", "openai/gpt-oss-20b", "high"),
        ("groq", "llama-3.3-70b-versatile", None),
        ("groq", "qwen/qwen3-32b", "default"),
        ("xai", "grok-4-fast", None),
        ("xai", "grok-3-mini", "high"),
    ],
)
def test_a_wish_to_think_goes_where_it_is_taken(kind: str, model: str, expected: str | None) -> None:
    """Claude Code thinks with a budget; a model that knows no effort must not be told one."""
    out, notes = sent("messages", claude(thinking={"type": "enabled", "budget_tokens": 20_000}), kind, model)
    assert out.get("reasoning_effort") == expected
    assert ("Reasoning was left out" in notes) is (expected is None)
