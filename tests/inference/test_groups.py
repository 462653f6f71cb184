"""Votes, likeness, validation and what judges say: the pure parts of groups."""

from __future__ import annotations

import random
import time
import tomllib
from typing import Any

import pytest
from pydantic import ValidationError

from intellirouter.app.model_rules import group_errors
from intellirouter.chat.model import OutputFormat
from intellirouter.chat.parts import Text, ToolCall
from intellirouter.chat.response import ChatResponse, Choice
from intellirouter.chat.told import deltas_of
from intellirouter.config.schema.groups import EnsembleSection, ValidationSection
from intellirouter.config.schema.model_registry import ModelSection
from intellirouter.config.schema.settings import Settings
from intellirouter.inference.groups import judging
from intellirouter.inference.groups.answers import ballot, most_alike, most_votes, winner
from intellirouter.inference.groups.forms import unfenced, within_fence
from intellirouter.inference.groups.validation import Rules, language_of, unsure


def test_a_vote_is_for_what_is_answered_and_not_for_how_it_is_said() -> None:
    assert ballot("Let me see. 6 times 7.\nThe answer is: **42**") == ballot("answer: 42")
    assert ballot('{"a": 1, "b": [2]}') == ballot('{ "b":[2],"a":1 }')
    assert ballot("Paris.") == ballot(" paris")
    assert winner(["a", "b", "A."], 5) is None
    assert winner(["b", "a", "A."], 3) == 1
    assert most_votes(["x", "y", "Y", "z"]) == 1
    assert most_alike(["it is red", "the sky is blue", "the sky is very blue"]) in (1, 2)


def test_three_of_seventy_percent_reach_what_a_majority_is_expected_to() -> None:
    chance = random.Random(4)
    right = 0
    for question in range(4_000):
        said = [
            "right" if chance.random() < 0.7 else f"wrong {chance.randint(0, 1)} {question}" for _ in range(3)
        ]
        right += said[most_votes(said)] == "right"
    assert 0.77 <= right / 4_000 <= 0.86  # .784 where two agree, more where the wrong ones differ


@pytest.mark.parametrize(
    ("rules", "good", "bad"),
    [
        ({"min_characters": 3}, "yes", "no"),
        ({"max_characters": 3}, "yes", "never"),
        ({"pattern": r"^\d{4}-\d{2}$"}, "2026-11", "November"),
        ({"json_schema": {"type": "object", "required": ["a"]}}, '{"a": 1}', '{"b": 1}'),
        ({"json_schema": {"type": "object"}}, '```json\n{"a": 1}\n```', "no JSON"),
        (
            {"language": "de"},
            "Das ist nicht der Turm, und die See ist mit ihm.",
            "This is not the tower, and the sea is with it.",
        ),
        ({"language": "en"}, "This is not the tower, and the sea is with it.", "紫色的大象在河边喝水。"),
        ({"language": "ja"}, "富士山は日本で一番高い山です。", "紫色的大象在河边喝水。"),
    ],
    ids=str,
)
def test_an_answer_is_held_to_its_rules(rules: dict[str, Any], good: str, bad: str) -> None:
    judged = Rules(ValidationSection.model_validate(rules))
    assert judged.complaint(good) is None
    assert judged.complaint(bad)


@pytest.mark.parametrize(
    ("head", "middle", "tail"),
    [
        ("```", "\n", ""),
        ("```json\n", "``` ", "x"),
        ("answer", " *", ""),
        ("", "answer is * ", ""),
        ("", "a b ", ""),
        ("```\n", "\n ", "{"),
    ],
)
def test_reading_an_answer_takes_time_in_proportion_to_its_length(head: str, middle: str, tail: str) -> None:
    """Sixteen times the length takes far less than the 256 times that pairs would."""

    def seconds(count: int) -> float:
        text = f"{head}{middle * count}{tail}"
        took = []
        for _ in range(3):
            began = time.process_time()
            ballot(text)
            most_alike([text, f"{text} and", f"or {text}"])
            Rules(ValidationSection(json_schema={"type": "object"})).complaint(text)
            unfenced(text, OutputFormat("json"))
            took.append(time.process_time() - began)
        return min(took)

    assert seconds(16_000) < 100 * max(seconds(1_000), 1e-3)


def test_what_stands_in_a_fence() -> None:
    assert within_fence('```json\n{"n": 1}\n```') == '{"n": 1}'
    assert within_fence(' ```\n{"n": 1}``` ') == '{"n": 1}'
    assert within_fence('{"n": 1}') is None
    assert within_fence("``````") is None


def test_too_little_tells_no_language() -> None:
    assert language_of("42") is None
    assert language_of("OK") is None


def test_who_is_not_sure_says_so() -> None:
    assert unsure("I'm not sure, but it may be 4.")
    assert unsure("  ")
    assert not unsure("It is 4.")


def test_a_judge_is_read_with_care() -> None:
    assert judging.chosen("B", 3) == 1
    assert judging.chosen("The best is **C**, not A", 3) == 2
    assert judging.chosen("J", 3) is None
    assert judging.chosen("none of them", 3) is None
    assert judging.verdict("Yes.") is None
    assert judging.verdict("No, it is wrong.") == "No, it is wrong."
    assert judging.verdict("")


def test_a_whole_answer_is_told_as_a_stream_would_tell_it() -> None:
    parts = (Text("Hello"), ToolCall("c1", "look", '{"a": 1}'))
    deltas = deltas_of(ChatResponse(id="i", model="m", choices=(Choice(parts, "tool_calls"),)))
    assert [type(delta).__name__ for delta in deltas] == [
        "Start",
        "TextDelta",
        "ToolCallStart",
        "ToolCallArguments",
        "Finish",
    ]


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "g"},
        {"name": "g", "targets": ["a/b"], "cascade": {"steps": ["a/b", "a/c"]}},
        {"name": "g", "ensemble": {"members": ["a/b"]}},
        {"name": "g", "ensemble": {"members": ["a/b", "a/c"], "merge": "judge"}},
        {"name": "g", "ensemble": {"members": ["a/b", "a/c"], "quorum": 3}},
        {"name": "g", "ensemble": {"members": ["a/b", "a/c"]}, "validation": {"pattern": "x"}},
    ],
    ids=str,
)
def test_a_group_that_cannot_be_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ModelSection.model_validate(fields)
    assert EnsembleSection(members=("a/b", "a/c")).quorum is None


@pytest.mark.parametrize(
    ("model", "problem"),
    [
        ('[model_registry.models.cascade]\nsteps = ["offline/a", "g"]', "is a group"),
        ('[model_registry.models.cascade]\nsteps = ["offline/a", "nowhere/b"]', "no model or provider"),
        (
            '[model_registry.models.ensemble]\nmembers = ["offline/a", "offline/b"]\nmerge = "judge"\njudge = "no"',
            "no model",
        ),
        ('targets = ["offline/a"]\n[model_registry.models.validation]\npattern = "(?=a)"', "RE2"),
        (
            'targets = ["offline/a"]\n[model_registry.models.validation]\njson_schema = { "$ref" = "http://x/y" }',
            "ref",
        ),
    ],
)
def test_a_configuration_with_such_a_group_is_refused_with_the_place(model: str, problem: str) -> None:
    settings = Settings.model_validate(tomllib.loads(f'[[model_registry.models]]\nname = "g"\n{model}\n'))
    found = list(group_errors(settings))
    assert len(found) == 1
    assert problem in found[0][1]
    assert found[0][0][:3] == ("model_registry", "models", 0)
