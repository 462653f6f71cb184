"""What is masked does not reach a model, and comes back to its caller, wherever it stands and however an answer is cut."""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intellirouter.bounds.patterns import compiled
from intellirouter.chat.delta import Delta, Finish, TextDelta, ToolCallArguments, ToolCallStart
from intellirouter.chat.model import ChatRequest, Message, OutputFormat, Tool
from intellirouter.chat.parts import File, Image, Opaque, Part, Text, Thinking, ToolCall, ToolResult
from intellirouter.chat.response import ChatResponse, Choice
from intellirouter.config.schema.guards import GuardSection
from intellirouter.guards import places
from intellirouter.guards.finding import LONGEST, Finding
from intellirouter.guards.guard import Guard, made
from intellirouter.guards.incoming import Incoming, looked_at
from intellirouter.guards.outgoing import Outgoing
from intellirouter.guards.report import Report
from intellirouter.inference.guarding.guarded import with_masks

EMAIL, CARD = "jane.roe@example.org", "4111 1111 1111 1111"


def guard(kind: str = "pii", **more: object) -> Guard:
    return made(GuardSection.model_validate({"name": "g", "kind": kind, **more}), compiled)


HIDES = guard(action="mask-restore")


def asked(*content: Part | str, **more: object) -> ChatRequest:
    parts = tuple(Text(part) if isinstance(part, str) else part for part in content)
    return ChatRequest(model="m", messages=(Message("user", parts),), **more)  # type: ignore[arg-type]


def through(request: ChatRequest, *guards: Guard) -> Incoming:
    return looked_at(request, guards or (HIDES,), Report())


PLACES: dict[str, ChatRequest] = {
    "a message": asked(f"mail {EMAIL}"),
    "a system prompt": ChatRequest(model="m", messages=(Message("system", (Text(EMAIL),)),)),
    "a tool call": asked(ToolCall("1", "send", json.dumps({"to": [EMAIL], EMAIL: "x"}))),
    "a tool call with escapes": asked(ToolCall("1", "send", '{"to": "jane.roe\\u0040example.org"}')),
    "a free call": asked(ToolCall("1", "send", f"to {EMAIL}", "custom")),
    "a number in a call": asked(ToolCall("1", "pay", '{"card": 4111111111111111}')),
    "a tool result": asked(ToolResult("1", (Text(json.dumps({"mail": EMAIL})),))),
    "a document": asked(File(text=EMAIL, title=EMAIL)),
    "a text document": asked(File(data="amFuZS5yb2VAZXhhbXBsZS5vcmc=", media_type="text/plain")),
    "a text that goes by no type": asked(File(data="amFuZS5yb2VAZXhhbXBsZS5vcmc=", filename="a.yaml")),
    "a text by another type": asked(
        File(data="amFuZS5y\nb2VAZXhhbXBsZS5vcmc=", media_type="application/octet-stream")
    ),
    "a text where a picture stands": asked(
        Image(data="amFuZS5yb2VAZXhhbXBsZS5vcmc=", media_type="image/svg+xml")
    ),
    "a block of a vendor": asked(Opaque("anthropic", {"type": "x", "deep": [{"text": EMAIL}]})),
    "a thought": asked(Thinking(f"they wrote {EMAIL}")),
    "a tool's description": asked(
        "hi", tools=(Tool("t", description=EMAIL, parameters={"description": EMAIL}),)
    ),
    "a schema": asked("hi", output=OutputFormat("json_schema", {"enum": [EMAIL]})),
    "metadata, user and stop words": asked("hi", metadata={"who": EMAIL}, user=EMAIL, stop=(EMAIL,)),
}


@pytest.mark.parametrize("name", PLACES)
def test_it_is_nowhere(name: str) -> None:
    done = through(PLACES[name])
    sent = json.dumps(places.texts(done.request)) + repr(done.request)
    for value in (EMAIL, "jane.roe\\u0040", "4111111111111111", "amFuZS5yb2V"):
        assert value not in sent
    assert done.placeholders and done.report


def test_half_of_a_surrogate_pair_stays_an_escape() -> None:
    done = through(asked(ToolCall("1", "send", '{"to": "\\ud83d jane.roe@example.org"}')))
    (call,) = done.request.messages[0].content
    assert isinstance(call, ToolCall)
    assert call.arguments == '{"to": "\\ud83d <EMAIL_1>"}'


def test_what_holds_nothing_is_the_same_object() -> None:
    request = asked("Nothing to see", ToolCall("1", "t", '{"a": 1}'))
    assert through(request).request is request


def test_pictures_and_pdfs_stay_as_they_are() -> None:
    """Also a PDF that could be read as text: changed, it is none any more."""
    pdf = base64.b64encode(f"%PDF-1.4 {EMAIL}".encode()).decode()
    picture = base64.b64encode(b"\x89PNG " + EMAIL.encode()).decode()
    request = asked(File(data=pdf), Image(data=picture), Image(data="no base64"), File(data="==="))
    assert through(request).request is request


def test_one_value_has_one_placeholder_and_a_known_value_is_hidden_everywhere() -> None:
    request = asked("SSN 123-45-6789", "again 123-45-6789", "b.c@example.org, a@example.org, b.c@example.org")
    texts = [text for text, _ in places.texts(through(request).request)]
    assert texts == ["SSN <ID_1>", "again <ID_1>", "<EMAIL_1>, <EMAIL_2>, <EMAIL_1>"]


def test_what_looks_like_a_placeholder_is_left_alone() -> None:
    done = through(asked(f"What is <EMAIL_1>? {EMAIL}"))
    assert places.texts(done.request)[0][0] == "What is <EMAIL_1>? <EMAIL_2>"
    assert done.placeholders.back.whole("<EMAIL_1> <EMAIL_2>") == f"<EMAIL_1> {EMAIL}"


def test_a_signed_thought_stays_as_it_is_but_for_what_is_known() -> None:
    signed = Thinking("<EMAIL_1> and other@example.org", signature="s", signer="anthropic")
    told = ChatRequest(
        model="m",
        messages=(
            Message("user", (Text(EMAIL),)),
            Message("assistant", (Thinking(f"{EMAIL} it is", signature="s"), Text("ok"))),
        ),
    )
    done = through(told)
    assert done.request.messages[1].content[0] == Thinking("<EMAIL_1> it is", signature="s")
    assert through(asked(signed)).request.messages[0].content[0] == signed


def answer(done: Incoming, *parts: Part, **more: object) -> ChatResponse:
    out = Outgoing((), done.placeholders, done.request, done.report)
    return out.whole(ChatResponse(id="1", model="m", choices=(Choice(parts),)))


@pytest.mark.parametrize("written", ["<EMAIL_1>", "<email_1>", "\\u003cEMAIL_1\\u003e", "&lt;EMAIL_1&gt;"])
def test_a_model_may_write_it_in_its_own_way(written: str) -> None:
    done = through(asked(EMAIL))
    assert answer(done, Text(f"Mail {written}!")).choices[0].text == f"Mail {EMAIL}!"


@pytest.mark.parametrize("written", ["<EMAıL_1>", "<EMAİL_1>", "<EMAIL_2>", "<_>", "<EMAIL_1"])
def test_what_only_looks_like_one_is_left_alone(written: str) -> None:
    done = through(asked(EMAIL))
    assert answer(done, Text(f"Mail {written}!")).choices[0].text == f"Mail {written}!"


def test_json_stays_json() -> None:
    quoted = guard("pattern", patterns=['"[A-Z ]+"'], action="mask-restore")
    done = looked_at(asked('call me "THE BOSS"', output=OutputFormat("json")), (quoted,), Report())
    told = answer(done, Text('{"who": "<G_1>"}'), ToolCall("1", "t", '{"who": "<G_1>"}'))
    assert json.loads(told.choices[0].text) == {"who": '"THE BOSS"'}
    assert json.loads(told.choices[0].tool_calls[0].arguments) == {"who": '"THE BOSS"'}


WORDS = st.sampled_from(
    [
        "hello",
        "<",
        "<EMAIL",
        "_1>",
        "<EMAIL_1>",
        "<CARD_1>",
        "&lt;",
        "\\u003c",
        "1 2",
        "a@b.c",
        " ",
        "\n",
        "is",
        "<b>",
    ]
)


def streamed(out: Outgoing, text: str, cuts: Sequence[int]) -> tuple[str, str, str]:
    """The text, the arguments and the reason at the end, of a stream cut at these places."""
    stream = out.stream()
    got: list[Delta] = []
    edges = [0, *sorted({cut % (len(text) + 1) for cut in cuts}), len(text)]
    pieces = [text[start:end] for start, end in itertools.pairwise(edges)]
    for piece in pieces:
        got += stream.feed((TextDelta(piece),))
    got += stream.feed((ToolCallStart(0, "1", "t", block=1),))
    for piece in pieces:
        got += stream.feed((ToolCallArguments(0, piece, block=1),))
    got += stream.feed((Finish("stop"),))
    end = got[-1]
    assert isinstance(end, Finish)
    return (
        "".join(one.text for one in got if isinstance(one, TextDelta)),
        "".join(one.fragment for one in got if isinstance(one, ToolCallArguments)),
        end.reason,
    )


@settings(max_examples=100, deadline=None)
@given(st.lists(WORDS, max_size=12).map("".join), st.lists(st.integers(0, 200), max_size=30))
def test_a_stream_gives_back_what_a_whole_answer_does(text: str, cuts: list[int]) -> None:
    done = through(asked(f"{EMAIL} {CARD}"))
    out = Outgoing((), done.placeholders, done.request, done.report)
    whole = done.placeholders.back.whole(text)
    assert streamed(out, text, cuts) == (whole, done.placeholders.back.whole(text, in_json=True), "stop")


def test_a_placeholder_may_be_cut_anywhere() -> None:
    done = through(asked(f"{EMAIL} {CARD}"))
    text = "Mail <EMAIL_1> or pay <CARD_1>, \\u003cEMAIL_1\\u003e."
    out = Outgoing((), done.placeholders, done.request, done.report)
    assert streamed(out, text, range(len(text)))[0] == f"Mail {EMAIL} or pay {CARD}, {EMAIL}."


LEAKS = st.sampled_from(
    ["jane.roe@example.org", "4111 1111 1111 1111", "DE89 3704 0044 0532 0130 00", "+44 20 7946 0958", "192.168.7.20",
     "sk-proj-abcdefghijklmnop1234567890ABCD", "and", "then", "12", ".", ", ", "DE89", "4111 1111"]
)  # fmt: skip


@settings(max_examples=50, deadline=None)
@given(st.lists(LEAKS, min_size=1, max_size=6).map(" ".join), st.lists(st.integers(0, 300), max_size=40))
def test_what_a_stream_leaks_is_masked_as_in_a_whole_answer(text: str, cuts: list[int]) -> None:
    guards = [guard("pii", on=["output"], action="mask"), guard("secret", on=["output"], action="mask")]
    out = Outgoing(guards, Incoming(asked("x")).placeholders, asked("x"), Report())
    whole = out.whole(ChatResponse(id="1", model="m", choices=(Choice((Text(text),)),)))
    assert streamed(out, text, cuts)[0] == whole.choices[0].text


def test_a_long_secret_is_held_until_it_ends() -> None:
    key = (
        "-----BEGIN PRIVATE KEY-----\n"
        + "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n" * 50
        + "-----END PRIVATE KEY-----"
    )
    text = f"Here: {key} and that was it."
    guards = [guard("secret", on=["output"], action="mask")]
    out = Outgoing(guards, Incoming(asked("x")).placeholders, asked("x"), Report())
    assert streamed(out, text, range(0, len(text), 7))[0] == "Here: <SECRET> and that was it."


@pytest.mark.parametrize(
    ("kind", "text", "wanted"),
    [
        ("iban", "Pay DE89 3704 0044 0532 0130 00 now.", "Pay <IBAN> now."),
        ("iban", "Pay (GB82WEST12345698765432).", "Pay (<IBAN>)."),
    ],
)
def test_no_letter_goes_out_before_what_begins_with_it(kind: str, text: str, wanted: str) -> None:
    out = Outgoing(
        [guard(kind, on=["output"], action="mask")], Incoming(asked("x")).placeholders, asked("x"), Report()
    )
    assert streamed(out, text, range(len(text)))[0] == wanted


@pytest.mark.parametrize(("letters", "parts"), [(LONGEST, 1), (LONGEST + 1, 2), (3 * LONGEST, 4)])
def test_a_match_too_long_to_be_held_is_masked_as_far_as_it_came(letters: int, parts: int) -> None:
    long = guard("pattern", patterns=["x+"], on=["output"], action="mask")
    out = Outgoing([long], Incoming(asked("x")).placeholders, asked("x"), Report())
    text = f"a {'x' * letters} b"
    assert streamed(out, text, range(len(text)))[0] == f"a {'<G>' * parts} b"


def test_a_stream_is_not_held_back_where_nothing_can_come() -> None:
    out = Outgoing(
        [guard("email", on=["output"], action="mask")],
        Incoming(asked("x")).placeholders,
        asked("x"),
        Report(),
    )
    stream = out.stream()
    got = [one for piece in ("Hello ", "dear ", "world") for one in stream.feed((TextDelta(piece),))]
    assert "".join(one.text for one in got if isinstance(one, TextDelta)) == "Hello dear "


def test_a_blocked_answer_is_withheld_whole_and_streamed() -> None:
    out = Outgoing([guard("secret", on=["output"])], Incoming(asked("x")).placeholders, asked("x"), Report())
    text = "The key is sk-proj-abcdefghijklmnop1234567890ABCD and more"
    whole = out.whole(ChatResponse(id="1", model="m", choices=(Choice((Text(text),)),))).choices[0]
    assert (whole.text, whole.finish_reason) == ("This answer was withheld by a guard.", "content_filter")
    said, arguments, reason = streamed(out, text, range(0, len(text), 3))
    assert said == "The key is \n\nThis answer was withheld by a guard."
    assert (arguments, reason) == ("", "content_filter")


def test_what_another_found_is_masked_where_it_stands_and_a_signed_thought_stays() -> None:
    change = with_masks({1: [Finding(5, 9, "name")], 2: [Finding(0, 4, "name")]})
    told = [
        ("Jane", places.USER),
        ("I am Jane.", places.USER),
        ("Jane", places.SIGNED),
        ("Jane", places.USER),
    ]
    assert [change(*one) for one in told] == ["Jane", "I am <NAME>.", "Jane", "Jane"]
