"""Every pair of a client's dialect and a provider, for every feature: carried, approximated with a note, or refused.

The request is written anew, as it is whenever the two dialects differ or anything of the request was changed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from intellirouter.errors import UnsupportedByTarget
from intellirouter.providers.adapter import HttpRequest, Target
from intellirouter.providers.table import ADAPTERS
from tests.conformance.dialects.heard import HEARD, KINDS, OWN, Cell, Near, No
from tests.conformance.dialects.said import FRONTS, PLAIN, SAID

SPOKEN_BY = {
    "chat": ("openai", "openai_compatible", "mistral"),
    "responses": ("openai_responses",),
    "messages": ("anthropic",),
    "gemini": ("google",),
    "ollama": ("ollama", "ollama_generate"),
}

ONE_ANSWER = ("groq", "cerebras", "deepseek")
"""Presets whose vendors give one answer a request."""


def cells() -> Iterator[Any]:
    """Every cell of the table."""
    for feature, fronts in SAID.items():
        for front in fronts:
            for kind in KINDS:
                yield pytest.param(
                    feature, front, kind, expected(feature, front, kind), id=f"{feature}-{front}-{kind}"
                )


def expected(feature: str, front: str, kind: str) -> Cell:
    """The cell's content."""
    if feature in OWN:
        carried, elsewhere = OWN[feature]
        return carried[kind] if kind in SPOKEN_BY[front] else elsewhere
    return HEARD[feature][kind]


def built(feature: str, front: str, kind: str) -> HttpRequest:
    """What the provider would be sent."""
    request = FRONTS[front].decode_request(SAID[feature][front], {}).changed()
    return ADAPTERS[kind].build_chat(request, Target("p", "m", "https://host/v1"))


def holds(body: Any, fragment: Any) -> bool:
    """Objects may hold more; arrays hold these items in this order, maybe among others."""
    if isinstance(fragment, dict):
        return isinstance(body, dict) and all(
            key in body and holds(body[key], value) for key, value in fragment.items()
        )
    if isinstance(fragment, list):
        rest = iter(body if isinstance(body, list) else ())
        return all(any(holds(item, wanted) for item in rest) for wanted in fragment)
    return type(body) is type(fragment) and bool(body == fragment)


@pytest.mark.parametrize(("feature", "front", "kind", "cell"), list(cells()))
def test_cell(feature: str, front: str, kind: str, cell: Cell) -> None:
    if isinstance(cell, No):
        with pytest.raises(UnsupportedByTarget) as refused:
            built(feature, front, kind)
        assert cell.words in refused.value.message
        return
    http = built(feature, front, kind)
    body = json.loads(http.body)
    if isinstance(cell, Near):
        assert any(cell.words in note for note in http.notes), http.notes
        assert holds(body, cell.body), body
        return
    assert holds(body, cell), body
    assert set(http.notes) <= {
        "'audio' was left out: Gemini has no such setting."
    }  # a voice is no part of the cell


def test_the_table_is_whole() -> None:
    assert SAID.keys() == HEARD.keys() | OWN.keys()
    assert all(cells.keys() == set(KINDS) for cells in HEARD.values())


@pytest.mark.parametrize("front", FRONTS)
def test_where_both_speak_alike_a_body_goes_through_unchanged(front: str) -> None:
    kind = SPOKEN_BY[front][0]
    for feature, fronts in SAID.items():
        if front not in fronts:
            continue
        if front == "chat" and "thought of an earlier turn" in feature:
            continue  # OpenAI itself has no such fields: they come of a conversation with another vendor
        asked = fronts[front]
        request = FRONTS[front].decode_request(asked, {})
        http = ADAPTERS[kind].build_chat(request, Target("p", "m", "https://host/v1"))
        url_fields = {"model", "stream"} if front == "gemini" else set()
        sent = json.loads(http.body)
        assert {"stream": False, **sent} == {"stream": False, **asked} or sent == {
            key: value for key, value in asked.items() if key not in url_fields
        }, feature
        assert not http.notes


def test_a_plain_question_needs_no_note() -> None:
    for front, body in PLAIN.items():
        for kind in KINDS:
            request = FRONTS[front].decode_request(body, {}).changed()
            assert not ADAPTERS[kind].build_chat(request, Target("p", "m", "https://host/v1")).notes


@pytest.mark.parametrize("kind", sorted(ADAPTERS.keys() - set(KINDS)))
def test_a_preset_carries_what_its_like_does_or_says_that_it_does_not(kind: str) -> None:
    like = {"azure": "openai", "vertex": "google"}.get(kind, "openai_compatible")
    for feature, fronts in SAID.items():
        for front in fronts:
            cell = OWN[feature][1] if feature in OWN else HEARD[feature][like]
            if isinstance(cell, No) or (feature in OWN and like in SPOKEN_BY[front]):
                continue
            if feature == "several answers" and kind in ONE_ANSWER:
                with pytest.raises(UnsupportedByTarget):
                    built(feature, front, kind)
                continue
            http = built(feature, front, kind)
            fragment = cell.body if isinstance(cell, Near) else cell
            assert http.notes or holds(json.loads(http.body), _limited(fragment, kind)), (feature, front)


def _limited(fragment: dict[str, Any], kind: str) -> dict[str, Any]:
    """Two presets have the newer name of the limit."""
    if kind in ("groq", "cerebras") and "max_tokens" in fragment:
        return {"max_completion_tokens": fragment["max_tokens"]}
    return fragment


def test_openrouter_takes_prompt_cache_markers() -> None:
    http = built("prompt-cache marker", "messages", "openrouter")
    assert holds(
        json.loads(http.body),
        {"messages": [{"content": [{"text": "long", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]}]},
    )
    assert not http.notes
