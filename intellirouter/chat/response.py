"""The canonical answer: choices, usage, and where it came from."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from intellirouter.chat.parts import Part, Refusal, Text, Thinking, ToolCall

FinishReason = Literal["stop", "length", "tool_calls", "content_filter", "refusal", "pause", "error"]


class Share(msgspec.Struct, frozen=True):
    """What one call used of an answer that took several. `target` is `provider/model`."""

    target: str
    input_tokens: int
    output_tokens: int


class Usage(msgspec.Struct, frozen=True):
    """Tokens, as the vendor counted them.

    `input_tokens` is everything the model read, cached or not; `output_tokens` everything it wrote, thoughts
    included. The others are parts of these: `cached_tokens` (read from a prompt cache), `cache_write_tokens`
    (stored into one; of these `cache_write_1h_tokens` for an hour), `reasoning_tokens`, audio. So input price =
    (input - cached - cache_write) x full rate + ….
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_write_1h_tokens: int | None = None
    reasoning_tokens: int | None = None
    audio_input_tokens: int | None = None
    audio_output_tokens: int | None = None
    total: int | None = None  # the vendor's own total where it differs from the sum
    estimated: bool = False  # counted by us because the vendor did not say
    extra: dict[str, Any] = {}  # the vendor's further counters, in its own words
    extra_dialect: str | None = None
    shares: tuple[Share, ...] = ()  # of an answer that several targets gave, or were paid for

    @property
    def told_shares(self) -> dict[str, Any]:
        """The shares as every dialect's usage tells them: a field of our own, absent where one call did it all."""
        return {"intellirouter": {"targets": msgspec.to_builtins(self.shares)}} if self.shares else {}

    @property
    def total_tokens(self) -> int:
        """The vendor's total, or the sum."""
        return self.total if self.total is not None else self.input_tokens + self.output_tokens


class Choice(msgspec.Struct, frozen=True):
    """One answer. `finish_detail` is the vendor's own word where it says more than the canonical reason."""

    content: tuple[Part, ...] = ()
    finish_reason: FinishReason | None = "stop"
    finish_detail: str | None = None
    stop_sequence: str | None = None
    index: int = 0
    logprobs: dict[str, Any] | None = None
    extra: dict[str, Any] = {}

    @property
    def text(self) -> str:
        """The concatenated text parts."""
        return "".join(part.text for part in self.content if isinstance(part, Text))

    @property
    def thinking(self) -> str:
        """The concatenated reasoning."""
        return "".join(part.text for part in self.content if isinstance(part, Thinking))

    @property
    def refusal(self) -> str | None:
        """The refusal's words, if the model refused."""
        return "".join(part.text for part in self.content if isinstance(part, Refusal)) or None

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """The tool calls, in order."""
        return tuple(part for part in self.content if isinstance(part, ToolCall))


class ChatResponse(msgspec.Struct, frozen=True, kw_only=True):
    """A whole answer.

    `model` is the model that really answered, in the vendor's words. `raw` is the vendor's own body when
    `dialect` says which format it has: a front of that dialect may send it on as it is.
    """

    id: str
    model: str
    choices: tuple[Choice, ...]
    usage: Usage | None = None
    created: int = 0  # Unix seconds; 0 when the vendor does not say
    service_tier: str | None = None
    system_fingerprint: str | None = None
    notes: tuple[str, ...] = ()  # what was approximated on the way, for people
    extra: dict[str, Any] = {}
    dialect: str | None = None
    raw: bytes | None = None
    cost_usd: float | None = None  # what the Router says that it cost, for the roles that ask it
    unread: bool = False  # peeked at: the choices tell only why they ended
