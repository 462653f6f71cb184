"""Generated pieces of requests that every dialect can say; each dialect's file puts its own together."""

from __future__ import annotations

import base64
import json
from typing import Any, get_args

from hypothesis import strategies as st

from intellirouter.chat.model import OutputFormat, Tool
from intellirouter.chat.parts import Image, Text, ToolCall, Vendor

SIGNERS: tuple[Vendor, ...] = get_args(Vendor)
WORDS = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=12)
NAMES = st.from_regex(r"[a-zA-Z][a-zA-Z0-9_]{0,10}", fullmatch=True)
IDS = st.from_regex(r"call_[a-z0-9]{1,8}", fullmatch=True)
BASE64 = st.binary(min_size=1, max_size=9).map(lambda raw: base64.b64encode(raw).decode())
SCALARS = st.none() | st.booleans() | st.integers(-(2**31), 2**31) | WORDS
OBJECTS: st.SearchStrategy[dict[str, Any]] = st.dictionaries(
    NAMES,
    st.recursive(
        SCALARS,
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=2),
        max_leaves=4,
    ),
    max_size=3,
)
ARGUMENTS = OBJECTS.map(lambda data: json.dumps(data, separators=(",", ":"), ensure_ascii=False))
SCHEMAS: st.SearchStrategy[dict[str, Any]] = st.lists(NAMES, min_size=1, max_size=3, unique=True).map(
    lambda names: {
        "type": "object",
        "properties": {name: {"type": "string"} for name in names},
        "required": names,
    }
)
UNIT = st.floats(0, 1, allow_nan=False)
PENALTY = st.floats(-2, 2, allow_nan=False)
COUNT = st.integers(1, 100_000)
STOPS = st.lists(WORDS, max_size=3).map(tuple)
TEXTS = WORDS.map(Text)
INLINE_IMAGES = st.builds(Image, data=BASE64, media_type=st.sampled_from(["image/png", "image/jpeg"]))
LINKED_IMAGES = st.builds(Image, url=st.sampled_from(["https://host/a.png", "https://host/b?c=d#e"]))
METADATA = st.dictionaries(NAMES, WORDS, min_size=1, max_size=3)
JSON_OUTPUT = st.just(OutputFormat("json"))


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """A field that may not be given."""
    return st.none() | strategy


def calls(arguments: st.SearchStrategy[str] = ARGUMENTS, **more: Any) -> st.SearchStrategy[ToolCall]:
    """Tool calls of functions."""
    return st.builds(ToolCall, IDS, NAMES, arguments, **more)


def functions(**more: Any) -> st.SearchStrategy[Tool]:
    """Function tools."""
    return st.builds(Tool, NAMES, description=maybe(WORDS), parameters=SCHEMAS, **more)


def some(strategy: st.SearchStrategy[Any], least: int = 1) -> st.SearchStrategy[tuple[Any, ...]]:
    """A few of them."""
    return st.lists(strategy, min_size=least, max_size=3).map(tuple)


def unlike(tools: st.SearchStrategy[Tool]) -> st.SearchStrategy[tuple[Tool, ...]]:
    """Tools with names of their own."""
    return st.lists(tools, max_size=3, unique_by=lambda tool: tool.name).map(tuple)
