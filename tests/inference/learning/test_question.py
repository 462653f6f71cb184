"""What is taken for the question, and that the work is bounded."""

from __future__ import annotations

import re
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from intellirouter.chat.model import ChatRequest, Message, OutputFormat, Tool
from intellirouter.chat.parts import File, Image, Text, ToolResult
from intellirouter.inference.learning.features import MAX_SLOTS, STRUCTURE, features_of
from intellirouter.inference.learning.question import HEAD, TAIL, Question, needs_of, question_of


def said(*texts: str, role: str = "user") -> Message:
    return Message(role, tuple(Text(text) for text in texts))  # type: ignore[arg-type]


def asked(*messages: Message, **more: object) -> ChatRequest:
    return ChatRequest(model="auto", messages=messages, **more)  # type: ignore[arg-type]


DUMP = "```python\n" + "\n".join(f"line_{n} = {n}" for n in range(200)) + "\n```"


@pytest.mark.parametrize(
    ("messages", "question"),
    [
        ((said("You are a poet", role="system"), said("Rhyme it")), "Rhyme it"),
        ((said("first"), said("reply", role="assistant"), said("second")), "second"),
        ((said("<system-reminder>Tools: many\n</system-reminder>\nfix the typo"),), "fix the typo"),
        ((said("<SYSTEM-REMINDER>x</SYSTEM-REMINDER>", "list files"),), "list files"),
        ((said("why?\n<file_contents path='a'>\n" + "x = 1\n" * 900 + "</file_contents>"),), "why?"),
        ((said("rename it<system-reminder>never closed " + "y " * 500),), "rename it"),
        (
            (
                said("sort the list"),
                said("calling", role="assistant"),
                Message("user", (ToolResult("c1", (Text("3 1 2"),)),)),
            ),
            "sort the list",
        ),
        (
            (
                said("sort it"),
                said("ok", role="assistant"),
                said("<system-reminder>stay calm</system-reminder>"),
            ),
            "sort it",
        ),
        ((said("a < b and b > c?"),), "a < b and b > c?"),
    ],
)
def test_the_newest_human_turn_without_what_harnesses_add(
    messages: tuple[Message, ...], question: str
) -> None:
    assert question_of(asked(*messages)).text == question


def test_a_pasted_file_is_not_the_question() -> None:
    text = question_of(asked(said(f"What does this do?\n{DUMP}"))).text
    assert text.startswith("What does this do?")
    assert len(text) < 120


LONG = "\n".join(f"line {n}" for n in range(20))


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (f"```\n{LONG}\n```\nwhy?", "```\nline 0\nline 1\n\nwhy?"),
        (f"why?\n```py\n{LONG}\n```", "why?\n```py\nline 0\nline 1"),
        (f"why?\n~~~\n{LONG}\n~~~\nand?", "why?\n~~~\nline 0\nline 1\n\nand?"),
        (f"a\n````\n```\n{LONG}\n````\nb", "a\n````\n```\nline 0\n\nb"),
        (f"~~~\n```\n{LONG}\n~~~\nb", "~~~\n```\nline 0\n\nb"),
        (f"a\n```\n{LONG}\n```\n```\n{LONG}", "a\n```\nline 0\nline 1\n\n```\nline 0\nline 1"),
        (f"no ```fence\n{LONG}", f"no ```fence\n{LONG}"),
        ("a\n```\nshort\n```\nb", "a\n```\nshort\n```\nb"),
        ("a\n```never a line", "a\n```never a line"),
    ],
)
def test_of_a_long_fence_the_first_lines_are_read(text: str, left: str) -> None:
    assert question_of(asked(said(text))).text == left


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "\n" * 70_000,
        "<" * 100_000,
        "`" * 100_000,
        "ü" * 100_000,
        "<file>" * 20_000,
        "a\n```\n" * 20_000,
    ],
)
def test_any_text_becomes_bounded_finite_numbers(text: str) -> None:
    question = question_of(asked(said(text)))
    features = features_of(question)
    assert len(question.text) <= HEAD + TAIL + 1
    assert features.structure.shape == (STRUCTURE,)
    assert features.structure.sum() == features.structure.sum()  # no NaN
    assert len(features.slots) <= MAX_SLOTS


def test_lone_surrogates_are_read() -> None:
    assert features_of(Question("a \ud800 b", 5)).structure.shape == (STRUCTURE,)


def test_the_same_text_has_the_same_numbers_and_another_has_others() -> None:
    one, again, other = (features_of(Question(t, len(t))) for t in ("Prove it.", "Prove it.", "Sum 2 and 3"))
    assert (one.structure == again.structure).all()
    assert one.slots.tolist() == again.slots.tolist() != other.slots.tolist()


PIECES = """he She you. not except, and or if 12 3.4 x=1 (a) $5 "q" 'r How many? É → \n A. B) ab AbC the a_b : \t""".split(
    " "
)


@given(st.lists(st.sampled_from(PIECES), max_size=40).map(" ".join))
def test_the_structure_is_what_a_plain_reading_counts(text: str) -> None:
    """The reading is of the text; the numbers are made of its bytes, all at once."""
    found = features_of(Question(text, len(text))).structure
    words = text.lower().split()
    size = max(1, len(text.encode()))
    plain = {
        1: len(re.findall(r"[0-9]", text)) / size,
        2: len(re.findall(r"[A-Z]", text)) / size,
        4: text.count("?"),
        6: sum(len(c.encode()) for c in text if ord(c) > 127) / size,
        5: len(set(words)) / max(1, len(words)),
        20: max(1, len(words)),
        21: text.count("\n"),
        22: len(re.findall(r"[0-9]+", text)),
        23: max(map(len, text.split("\n"))),
        25: text.count("."),
        26: len(re.findall(r"[=+*/^<>]", text)),
        27: len(re.findall(r"[(){}\[\]]", text)),
        28: text.count(","),
        29: len(re.findall(r"[$%]", text)),
        30: len(re.findall(r"[\"']", text)),
        34: sum(word in "he she his her him i my you your we".split() for word in words),
        35: len(re.findall(r"[A-Z][a-z]", text)),
    }
    for place, value in plain.items():
        number = np.expm1(float(found[place])) if place >= 19 else float(found[place])
        assert number == pytest.approx(value, abs=1e-3), place
    if not re.search(r"^[A-J][.)]", text, re.MULTILINE):
        assert bool(found[9]) == bool(
            re.search(r"\b(not|except|least|incorrect|false)\b", text, re.IGNORECASE)
        )


@pytest.mark.parametrize(
    ("text", "check"),
    [
        ("What is the capital of Peru?", 2548316588),
        ("Q: If 2 + 2 = 4, then?\nA. 3\nB. 4", 2857518652),
        ("日本語の質問 — é", 3562632372),
        ("ab " * 300, 1663548235),
    ],
)
def test_a_text_keeps_its_n_grams_for_what_was_learnt_holds_for_these(text: str, check: int) -> None:
    assert zlib.crc32(features_of(Question(text, len(text))).slots.astype("<u2").tobytes()) == check


@pytest.mark.parametrize(
    ("request_", "needed"),
    [
        (asked(said("hi")), ()),
        (asked(Message("user", (Image(url="http://x/i.png"),))), ("vision",)),
        (asked(Message("user", (File(data="JVBERi0="),))), ("pdf",)),
        (asked(Message("user", (File(text="plain"),))), ()),
        (asked(said("hi"), tools=(Tool("f"),)), ("tools",)),
        (asked(said("hi"), output=OutputFormat("json_schema", {})), ("json_schema",)),
        (asked(said("hi"), output=OutputFormat("json")), ()),
    ],
)
def test_what_a_request_needs(request_: ChatRequest, needed: tuple[str, ...]) -> None:
    assert needs_of(request_) == set(needed)
