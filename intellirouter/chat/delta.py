"""The canonical stream: what happens, one small fact at a time.

Order within a stream: `Start`, then any number of content deltas, then one `Finish` per choice, `UsageDelta`
where the vendor reports it (it may come more than once; the last one holds), nothing after.
`block` numbers the content blocks of one choice in the order they open; all deltas with the same `block` belong
to one part of the final message.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from intellirouter.chat.parts import Vendor
from intellirouter.chat.response import FinishReason, Usage


class Start(msgspec.Struct, frozen=True, tag="start"):
    """The upstream began to answer. `usage` is what some vendors already know here (input tokens)."""

    id: str = ""
    model: str = ""
    created: int = 0
    usage: Usage | None = None
    service_tier: str | None = None
    system_fingerprint: str | None = None
    extra: dict[str, Any] = {}


class TextDelta(msgspec.Struct, frozen=True, tag="text"):
    """More text."""

    text: str
    block: int = 0
    choice: int = 0
    logprobs: dict[str, Any] | None = None
    signature: str | None = None


class RefusalDelta(msgspec.Struct, frozen=True, tag="refusal"):
    """More of a refusal's words."""

    text: str
    block: int = 0
    choice: int = 0


class ThinkingDelta(msgspec.Struct, frozen=True, tag="thinking"):
    """More reasoning; `signature` with its `signer`, `encrypted` and `id` arrive once, whole."""

    text: str = ""
    block: int = 0
    choice: int = 0
    signature: str | None = None
    encrypted: str | None = None
    id: str | None = None
    signer: Vendor | None = None


class RedactedThinkingDelta(msgspec.Struct, frozen=True, tag="redacted_thinking"):
    """A whole block of encrypted reasoning."""

    data: str
    block: int = 0
    choice: int = 0


class ToolCallStart(msgspec.Struct, frozen=True, tag="tool_call"):
    """A tool call opens. `index` counts the calls of this choice from 0."""

    index: int
    id: str
    name: str
    kind: Literal["function", "custom"] = "function"
    block: int = 0
    choice: int = 0
    signature: str | None = None


class ToolCallArguments(msgspec.Struct, frozen=True, tag="arguments"):
    """More of the arguments of call `index`, byte for byte as the model wrote them."""

    index: int
    fragment: str
    block: int = 0
    choice: int = 0


class AnnotationDelta(msgspec.Struct, frozen=True, tag="annotation"):
    """Citations of the text in `block`: OpenAI's `annotation` form or Anthropic's `citation`."""

    annotation: dict[str, Any] | None = None
    citation: dict[str, Any] | None = None
    block: int = 0
    choice: int = 0


class ImageDelta(msgspec.Struct, frozen=True, tag="image"):
    """A whole picture that the model made, by `data` (base64) or `url`."""

    data: str | None = None
    media_type: str | None = None
    url: str | None = None
    block: int = 0
    choice: int = 0


class OpaqueDelta(msgspec.Struct, frozen=True, tag="opaque"):
    """A whole block, or a piece of audio, that only `dialect` knows."""

    dialect: str
    data: dict[str, Any]
    block: int = 0
    choice: int = 0


class Finish(msgspec.Struct, frozen=True, tag="finish"):
    """A choice is complete. `told` is what we say of it beside the vendor's words, where a dialect has room for that."""

    reason: FinishReason
    choice: int = 0
    detail: str | None = None
    stop_sequence: str | None = None
    extra: dict[str, Any] = {}
    told: dict[str, Any] = {}


class UsageDelta(msgspec.Struct, frozen=True, tag="usage"):
    """The usage so far; the last one holds."""

    usage: Usage


Delta = (
    Start
    | TextDelta
    | RefusalDelta
    | ThinkingDelta
    | RedactedThinkingDelta
    | ToolCallStart
    | ToolCallArguments
    | AnnotationDelta
    | ImageDelta
    | OpaqueDelta
    | Finish
    | UsageDelta
)


class StreamEvent(msgspec.Struct, frozen=True):
    """One event of the upstream: what it meant, and the bytes it came as (with its terminator).

    A front of the same dialect writes `raw`; any other encodes `deltas`.
    """

    deltas: tuple[Delta, ...]
    raw: bytes = b""
