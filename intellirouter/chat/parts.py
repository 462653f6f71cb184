"""What a message is made of.

Each part is what several vendors agree on, with the fields only one of them has kept beside it, so that a
conversation can go out to another vendor and come back without loss.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec


class CacheMarker(msgspec.Struct, frozen=True):
    """A prompt-cache breakpoint after this part (Anthropic's `cache_control`). `ttl` is e.g. `5m` or `1h`."""

    ttl: str | None = None


class Text(msgspec.Struct, frozen=True, tag="text"):
    """Plain text. `annotations` are citations in OpenAI's annotation form, `citations` in Anthropic's."""

    text: str
    cache: CacheMarker | None = None
    annotations: tuple[dict[str, Any], ...] = ()
    citations: tuple[dict[str, Any], ...] = ()
    signature: str | None = None  # Gemini signs text parts that follow a thought


class Image(msgspec.Struct, frozen=True, tag="image"):
    """An image by exactly one of `url`, `data` (base64) or `file_id`. `detail` is low, high or auto."""

    url: str | None = None
    data: str | None = None
    media_type: str | None = None
    file_id: str | None = None
    detail: str | None = None
    cache: CacheMarker | None = None


class Audio(msgspec.Struct, frozen=True, tag="audio"):
    """Base64 audio; `format` is wav, mp3, …. `id` and `transcript` when a model spoke it."""

    data: str = ""
    format: str = "wav"
    id: str | None = None
    transcript: str | None = None
    expires_at: int | None = None


class File(msgspec.Struct, frozen=True, tag="file"):
    """A document by exactly one of `url`, `data` (base64), `text` or `file_id`."""

    url: str | None = None
    data: str | None = None
    text: str | None = None
    file_id: str | None = None
    media_type: str | None = None
    filename: str | None = None
    title: str | None = None
    context: str | None = None
    citations: bool = False
    cache: CacheMarker | None = None


class ToolCall(msgspec.Struct, frozen=True, tag="tool_call"):
    """A model's wish to call a tool.

    `arguments` is the exact text the model wrote: JSON for a function, free text for a `custom` tool.
    `signature` is Gemini's thought signature, to be sent back with the call.
    """

    id: str
    name: str
    arguments: str
    kind: Literal["function", "custom"] = "function"
    signature: str | None = None
    cache: CacheMarker | None = None


NO_ARGUMENTS = "{}"
"""Of a function that takes none: some vendors send nothing, and clients read JSON."""


class ToolResult(msgspec.Struct, frozen=True, tag="tool_result"):
    """What a tool returned. `name` is known only where the wire format carries it (Gemini)."""

    call_id: str
    content: tuple[ResultPart, ...] = ()
    name: str | None = None
    is_error: bool = False
    kind: Literal["function", "custom"] = "function"
    cache: CacheMarker | None = None


Vendor = Literal["anthropic", "google", "mistral", "openrouter"]
"""Who signs thoughts."""


class Thinking(msgspec.Struct, frozen=True, tag="thinking"):
    """A model's reasoning.

    `text` is the reasoning or its summary; `signature` (Anthropic, Gemini) or `encrypted` (OpenAI Responses)
    is what the vendor needs back, unchanged, on the next turn. `id` is the item's id where one exists. `signer` names the vendor
    whose signature it is, where that is known: no other takes it.
    """

    text: str = ""
    signature: str | None = None
    encrypted: str | None = None
    id: str | None = None
    signer: Vendor | None = None

    def taken_by(self, vendor: Vendor) -> bool:
        """Whether `vendor` takes it back: signed, and by nobody else as far as is known."""
        return self.signature is not None and self.signer in (None, vendor)


class RedactedThinking(msgspec.Struct, frozen=True, tag="redacted_thinking"):
    """Reasoning the vendor encrypted; sent back unchanged."""

    data: str


class Refusal(msgspec.Struct, frozen=True, tag="refusal"):
    """The model's own words for why it will not answer."""

    text: str


class Opaque(msgspec.Struct, frozen=True, tag="opaque"):
    """A block only one dialect knows (a server-side tool's call or result), kept as that dialect sent it.

    It travels only to targets of `dialect`; elsewhere what it `said` stands for it, or it is refused or left out with a note.
    """

    dialect: str
    data: dict[str, Any]
    said: tuple[Text | Image, ...] = ()


ResultPart = Text | Image | Audio | File | Opaque

Part = Text | Image | Audio | File | ToolCall | ToolResult | Thinking | RedactedThinking | Refusal | Opaque
