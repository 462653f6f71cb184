"""The estimate of a request's tokens: every kind of part counts, by what it holds."""

from __future__ import annotations

import pytest

from intellirouter.chat.model import ChatRequest, Message, Tool
from intellirouter.chat.parts import (
    Audio,
    File,
    Image,
    Opaque,
    Part,
    RedactedThinking,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from intellirouter.chat.tokens import (
    AUDIO_BYTES_PER_TOKEN,
    DOCUMENT_BYTES_PER_TOKEN,
    IMAGE_TOKENS,
    MESSAGE_TOKENS,
    estimate_tokens,
    part_tokens,
    text_tokens,
)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [("", 0), ("a", 1), ("abcd", 1), ("abcde", 2), ("äöüß", 2), ("紫色", 2), ("a\ud800", 1)],
)
def test_four_characters_are_a_token_and_other_scripts_are_more(text: str, tokens: int) -> None:
    assert text_tokens(text) == tokens


@pytest.mark.parametrize(
    ("part", "tokens"),
    [
        (Text("abcdefgh"), 2),
        (Refusal("abcdefgh"), 2),
        (Thinking("abcdefgh", signature="x" * 400), 2),
        (RedactedThinking("x" * 40), 10),
        (ToolCall("call_1", "find", '{"a":12}'), 3),
        (Image(url="https://example.com/a.png"), IMAGE_TOKENS),
        (Audio("x" * AUDIO_BYTES_PER_TOKEN * 3), 3),
        (File(text="abcdefgh", data="x" * 4000), 2),
        (File(data="x" * DOCUMENT_BYTES_PER_TOKEN * 5), 5),
        (File(file_id="file-1"), 0),
        (Opaque("openai_responses", {"a": "x" * 32}), 10),
        (ToolResult("call_1", (Text("abcd"), Text("abcd"), Image(data="x"))), 2 + IMAGE_TOKENS),
    ],
)
def test_a_part_costs_what_it_holds(part: Part, tokens: int) -> None:
    assert part_tokens(part) == tokens


def test_a_request_costs_its_turns_and_its_tools() -> None:
    turns = (Message("user", (Text("abcd"),)), Message("assistant", (Text("abcd"), Text("abcdefgh"))))
    plain = ChatRequest(model="m", messages=turns)
    assert estimate_tokens(plain) == 2 * MESSAGE_TOKENS + 4
    tool = Tool("find", "function", description="abcdefgh", parameters={"type": "object"})
    assert estimate_tokens(ChatRequest(model="m", messages=turns, tools=(tool, tool))) == 12 + 2 * (1 + 2 + 4)
