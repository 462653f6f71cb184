"""An answer that is cut at a word or has to end with some words, whole and however it is streamed."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intellirouter.chat.delta import Delta, Finish, TextDelta, ThinkingDelta
from intellirouter.chat.model import ChatRequest
from intellirouter.chat.parts import Text, Thinking
from intellirouter.chat.response import ChatResponse, Choice
from intellirouter.config.schema.guards import GuardSection
from intellirouter.guards.guard import made
from intellirouter.guards.outgoing import Outgoing
from intellirouter.guards.placeholders import Placeholders
from intellirouter.guards.report import Report
from intellirouter.roles.router.pipeline.persona_guards import guards_of

CUT = {"kind": "length", "action": "cut", "max_characters": 20}
CLOSING = {"kind": "closing", "message": "No advice."}


def outgoing(*sections: dict[str, object]) -> Outgoing:
    guards = [
        made(GuardSection.model_validate({"name": "g", "on": ["output"], **section}), str)
        for section in sections
    ]
    return Outgoing(guards, Placeholders(), ChatRequest(model="m", messages=()), Report())


def streamed(out: Outgoing, text: str, size: int) -> tuple[str, str]:
    stream, got = out.stream(), list[Delta]()
    for at in range(0, len(text), size):
        got += stream.feed((TextDelta(text[at : at + size]),))
    got += stream.feed((Finish("stop"),))
    end = got[-1]
    assert isinstance(end, Finish)
    return "".join(one.text for one in got if isinstance(one, TextDelta)), end.reason


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from(["one", "two", "  ", " ", "\n", "seventeen", "No advice."]), max_size=9).map(
        "".join
    ),
    st.integers(1, 9),
)
def test_a_stream_ends_as_a_whole_answer_does(text: str, size: int) -> None:
    whole = (
        outgoing(CUT, CLOSING)
        .whole(ChatResponse(id="1", model="m", choices=(Choice((Text(text),)),)))
        .choices[0]
    )
    told, reason = streamed(outgoing(CUT, CLOSING), text, size)
    assert (told.split(), reason) == (whole.text.split(), whole.finish_reason)
    body = told.removesuffix("\n\nNo advice.")
    assert len(body) <= 20 and text.startswith(body)


def test_an_answer_that_is_too_long_is_told_and_one_that_is_not_is_none() -> None:
    for text, noted in (("x" * 20, []), ("x" * 21, ["length"])):
        out = outgoing({**CUT, "action": "block"})
        out.whole(ChatResponse(id="1", model="m", choices=(Choice((Text(text),)),)))
        assert [kind for row in out.report.shown() for kind in row["kinds"]] == noted


def test_what_stands_in_place_of_an_answer_is_neither_cut_nor_followed() -> None:
    guards = guards_of(
        {"forbidden_topics": ["poker"], "refusal": "I may not talk about this here.", "max_length": 9, "disclaimer": "No advice."},
        data=False,
    )  # fmt: skip
    out = Outgoing(guards, Placeholders(), ChatRequest(model="m", messages=()), Report())
    whole = out.whole(ChatResponse(id="1", model="m", choices=(Choice((Text("Poker is fun"),)),))).choices[0]
    assert (whole.text, whole.finish_reason) == ("I may not talk about this here.", "content_filter")
    assert streamed(out, "Hm: poker is fun", 3) == (
        "Hm: \n\nI may not talk about this here.",
        "content_filter",
    )


def test_a_persona_is_held_to_what_it_says_and_not_to_what_it_thinks() -> None:
    out = Outgoing(
        guards_of({"forbidden_topics": ["poker"]}, data=False),
        Placeholders(),
        ChatRequest(model="m", messages=()),
        Report(),
    )
    answer = ChatResponse(
        id="1", model="m", choices=(Choice((Thinking("They ask of poker."), Text("Not that."))),)
    )
    assert out.whole(answer).choices[0].text == "Not that."
    stream = out.stream()
    got = [*stream.feed((ThinkingDelta("They ask of poker."), TextDelta("Not that."), Finish("stop")))]
    assert "".join(one.text for one in got if isinstance(one, TextDelta)) == "Not that."
    assert got[-1] == Finish("stop")


def test_what_is_written_without_spaces_is_streamed_all_the_same() -> None:
    stream, told = outgoing({**CUT, "max_characters": 900}).stream(), 0
    for number in range(1, 600):
        told += sum(len(one.text) for one in stream.feed((TextDelta("東京"),)) if isinstance(one, TextDelta))
        assert min(900, 2 * number) - told <= 64
    assert told == 900


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "pii", "action": "cut", "on": ["output"]},
        {**CUT, "on": ["input"]},
        {**CLOSING, "on": ["input", "output"]},
        {"kind": "closing", "on": ["output"]},
    ],
)
def test_what_makes_no_sense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"cut|closing"):
        GuardSection.model_validate({"name": "g", **wrong})


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ({"countries": ["de", "FR"]}, ("DE", "FR")),
        ({"countries": ["DEU"]}, None),
        ({"countries": ["D1"]}, None),
        ({"countries": [""]}, None),
        ({"allow": ["DE", "fr"]}, ("de", "fr")),
        ({"allow": ["deu"]}, None),
        ({"allow": ["d1"]}, None),
    ],
)
def test_countries_and_languages_are_codes_of_two_letters(
    written: dict[str, list[str]], read: tuple[str, ...] | None
) -> None:
    (name,) = written
    if read is None:
        with pytest.raises(ValueError, match="of two letters, such as"):
            GuardSection.model_validate(
                {"name": "g", "kind": "language" if name == "allow" else "pii", **written}
            )
    else:
        kind = "language" if name == "allow" else "pii"
        section = GuardSection.model_validate({"name": "g", "kind": kind, **written})
        assert getattr(section, name) == read
