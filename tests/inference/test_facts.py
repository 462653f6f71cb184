"""What routing knows of a request: what it belongs to, and what it would cost."""

from __future__ import annotations

from typing import Any

import pytest

from intellirouter.chat.model import ChatRequest, Message, RouteOptions
from intellirouter.chat.parts import Text
from intellirouter.config.schema.model_registry import Price
from intellirouter.inference.contenders import cost
from intellirouter.inference.facts import PREFIX_CHARACTERS, affinity_of
from intellirouter.inference.selection.option import Facts, Option


def asked(*texts: str, **more: Any) -> ChatRequest:
    messages = tuple(Message("user", (Text(text),)) for text in texts)
    return ChatRequest(model="m", messages=messages, **more)


TALK = RouteOptions(conversation="talk")


@pytest.mark.parametrize(
    ("more", "name"),
    [
        ({"options": TALK}, "talk"),
        ({"options": TALK, "prompt_cache_key": "key", "user": "ada"}, "talk"),
        ({"options": RouteOptions(), "prompt_cache_key": "key", "user": "ada"}, "key"),
        ({"prompt_cache_key": "key"}, "key"),
        ({"user": "ada"}, "ada"),
    ],
)
def test_what_is_named_stays_together_whatever_it_says(more: dict[str, Any], name: str) -> None:
    assert affinity_of(asked("one", **more), "t") == affinity_of(asked("two", **more), "t") == f"t:{name}"


def test_what_begins_alike_stays_together_where_nothing_is_named() -> None:
    start = "x" * PREFIX_CHARACTERS
    found = affinity_of(asked(start, "and then one thing"), "t")
    assert found == affinity_of(asked(start, "or another"), "t") == affinity_of(asked(start + "more"), "t")
    assert found != affinity_of(asked(start), "another tenant")
    assert affinity_of(asked("one", "two"), "t") != affinity_of(asked("one", "three"), "t")


@pytest.mark.parametrize(
    ("price", "fresh", "usd"),
    [
        (Price(input=3, output=15, cached=0.3), 1.0, 3.75),
        (Price(input=3, output=15, cached=0.3), 0.25, 3.75 - 0.75 * 2.7),
        (Price(input=3, output=15, cached=0.3), 0.0, 0.3 + 0.75),
        (Price(input=3, output=15), 0.25, 3.75),  # it has no price of its own for what it has read before
        (None, 0.25, 3.75),
    ],
)
def test_what_a_target_has_in_its_cache_costs_less(price: Price | None, fresh: float, usd: float) -> None:
    option = Option("p/m", input_price=3, output_price=15)
    facts = Facts(input_tokens=1_000_000, output_tokens=50_000)
    assert cost(option, facts, price, fresh) == pytest.approx(usd)
    assert cost(Option("p/m"), facts, price, fresh) is None
