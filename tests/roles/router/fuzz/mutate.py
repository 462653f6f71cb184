"""From a valid body to one that a careless or hostile client might send. The same dice, the same bytes."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from typing import Any

Place = tuple[Any, Any]  # a container and the key or index in it
NEEDED = frozenset("model name messages input contents content requests prompt max_tokens stream".split())

JUNK: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1,
    2**31,
    2**63,
    2**70,
    -(2**70),
    0.1,
    1e308,
    -1e308,
    1e-320,
    "",
    " ",
    "x",
    "x" * 5_000,
    "null",
    "\x00",
    "\r\n\r\ndata: [DONE]\r\n\r\n",
    "é🎈\u202e",
    "%00/../../etc",
    "data:image/png;base64,@@@",
    "data:",
    "https://",
    "!" * 40,
    [],
    {},
    [[]],
    [{}],
    {"": ""},
    {"type": None},
    {"type": "novelty"},
    {"type": "text"},
    [None],
    ["x", 1],
    [{"type": "text", "text": None}],
    {"role": "user"},
)


def places(value: Any) -> Iterator[Place]:
    """Every place of a JSON tree where a value stands."""
    if isinstance(value, dict):
        for key in value:
            yield value, key
            yield from places(value[key])
    elif isinstance(value, list):
        for index in range(len(value)):
            yield value, index
            yield from places(value[index])


def thinned(body: dict[str, Any], dice: random.Random) -> dict[str, Any]:
    """A valid body with fewer settings, turns and parts, so that more targets can take it."""
    return {key: _fewer(value, dice) for key, value in body.items() if key in NEEDED or dice.random() < 0.4}


def _fewer(value: Any, dice: random.Random) -> Any:
    if isinstance(value, dict):
        return {key: _fewer(inner, dice) for key, inner in value.items()}
    if isinstance(value, list) and len(value) > 1:
        return [_fewer(inner, dice) for inner in value if dice.random() < 0.5] or copy.deepcopy(value[:1])
    return copy.deepcopy(value)


def mutated(body: dict[str, Any], dice: random.Random) -> dict[str, Any]:
    """A copy of `body` with one to three things wrong with it."""
    body = thinned(body, dice) if dice.random() < 0.7 else copy.deepcopy(body)
    for _ in range(dice.choice((1, 1, 1, 2, 3))):
        if found := list(places(body)):
            _mutate(found, dice)
    return body


def _mutate(found: list[Place], dice: random.Random) -> None:
    holder, key = dice.choice(found)
    match dice.randrange(8):
        case 0:
            del holder[key]
        case 1:  # a value from somewhere else in the body
            other, where = dice.choice(found)
            holder[key] = copy.deepcopy(other[where])
        case 2:
            holder[key] = [holder[key]]
        case 3:
            holder[key] = {"value": holder[key]}
        case 4 if isinstance(holder, list):
            holder.insert(key, copy.deepcopy(holder[key]))
        case 4:
            holder[dice.choice(("type", "", "x" * 300, "stream", "\n", "id"))] = holder[key]
        case 5 if isinstance(holder[key], str):
            text = holder[key]
            cut = dice.randrange(len(text) + 1)
            holder[key] = text[:cut] + dice.choice(("", "\ud800", "\x00", "\u2028", "\\")) + text[cut:]
        case _:
            holder[key] = copy.deepcopy(dice.choice(JUNK))


def garbled(body: dict[str, Any], dice: random.Random) -> bytes:
    """The bytes of a mutated body; now and then broken as bytes too."""
    sent = json.dumps(mutated(body, dice), ensure_ascii=dice.random() < 0.5).encode("utf-8", "surrogatepass")
    if dice.random() > 0.1 or not sent:
        return sent
    at = dice.randrange(len(sent))
    match dice.randrange(5):
        case 0:
            return sent[:at]
        case 1:
            return sent[:at] + bytes([dice.randrange(256)]) + sent[at + 1 :]
        case 2:
            return sent[:at] + b"\xff\xfe" + sent[at:]
        case 3:
            return sent.replace(b":", b":" + dice.choice((b"NaN", b"1e999", b"[" * 3_000, b'"\\ud800"')), 1)
        case _:
            return sent + b"}"
