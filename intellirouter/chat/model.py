"""The canonical chat request: what any front can ask and any provider be asked.

Units: tokens for every `max_*` and budget, seconds nowhere (deadlines are the router's). A field that is
`None` was not given, and an adapter must not invent it.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from intellirouter.chat.parts import CacheMarker, Part, Text

Role = Literal["system", "developer", "user", "assistant", "tool"]
Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]


class Message(msgspec.Struct, frozen=True):
    """One turn. `name` is the participant's name where the dialect has one; `phase` is OpenAI's."""

    role: Role
    content: tuple[Part, ...] = ()
    name: str | None = None
    extra: dict[str, Any] = {}

    @property
    def text(self) -> str:
        """The concatenated text parts."""
        return "".join(part.text for part in self.content if isinstance(part, Text))


class Tool(msgspec.Struct, frozen=True):
    """A tool offered to the model.

    `function`: `parameters` is its JSON Schema. `custom`: free-form input, `format` its grammar.
    `builtin`: a tool the vendor of `dialect` runs itself (web search …), kept as sent in `data`.
    `native` is what `dialect` has in place of a function, for a tool that the client runs and other vendors know as one.
    """

    name: str
    kind: Literal["function", "custom", "builtin"] = "function"
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None
    format: dict[str, Any] | None = None
    dialect: str | None = None
    data: dict[str, Any] | None = None
    cache: CacheMarker | None = None
    native: dict[str, Any] | None = None
    namespace: tuple[str, str] | None = None  # OpenAI's, name and description; it is part of `name` too
    extra: dict[str, Any] = {}


class ToolChoice(msgspec.Struct, frozen=True):
    """`named` forces the tool `name`; `allowed` restricts to `names` with `mode` auto or required."""

    kind: Literal["auto", "none", "required", "named", "allowed"]
    name: str | None = None
    names: tuple[str, ...] = ()
    mode: Literal["auto", "required"] = "auto"


class OutputFormat(msgspec.Struct, frozen=True):
    """`json` asks for any JSON object; `json_schema` for one that satisfies `schema`."""

    kind: Literal["text", "json", "json_schema"]
    schema: dict[str, Any] | None = None
    name: str | None = None
    description: str | None = None
    strict: bool | None = None


class Reasoning(msgspec.Struct, frozen=True):
    """How much to think. `mode` is Anthropic's; `summary` OpenAI's; `include` asks to see the thoughts."""

    effort: Effort | None = None
    budget_tokens: int | None = None
    mode: Literal["enabled", "disabled", "adaptive"] | None = None
    summary: str | None = None
    include: bool | None = None


class Source(msgspec.Struct, frozen=True):
    """The request as the client sent it: which dialect, and its parsed body.

    While it is present the canonical fields say exactly what it says, so a target of the same dialect may be
    sent this body with only the model changed. Whoever changes the canonical request drops it.
    """

    dialect: str
    body: dict[str, Any]
    headers: dict[str, str] = {}  # the vendor's own request headers (anthropic-beta …), lower case


class ChatRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One request for a completion."""

    model: str
    messages: tuple[Message, ...]
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    n: int | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    logit_bias: dict[str, float] | None = None
    output: OutputFormat | None = None
    reasoning: Reasoning | None = None
    verbosity: str | None = None
    modalities: tuple[str, ...] = ()
    audio: dict[str, Any] | None = None
    prediction: dict[str, Any] | None = None
    user: str | None = None
    metadata: dict[str, Any] | None = None
    service_tier: str | None = None
    store: bool | None = None
    prompt_cache_key: str | None = None
    cache: CacheMarker | None = None  # a marker on the whole request (Anthropic's top-level cache_control)
    stream: bool = False
    include_usage: bool = False  # the client asked for usage in the stream
    extra: dict[str, Any] = {}  # fields only `extra_dialect` knows
    extra_dialect: str | None = None
    vendor_headers: dict[
        str, str
    ] = {}  # of `extra_dialect`, lower case: what its fields need (anthropic-beta …)
    options: RouteOptions | None = None
    source: Source | None = None
    long: bool = False  # of so many parts that what is made of it is made off the event loop

    def changed(self, **changes: Any) -> ChatRequest:
        """A copy with these fields changed that no longer claims to be what the client sent."""
        return msgspec.structs.replace(self, source=None, **changes)

    def routed(self, **changes: Any) -> ChatRequest:
        """A copy changed only in what routing decides (`model`, `stream`, …); the source still holds."""
        return msgspec.structs.replace(self, **changes)


class RouteOptions(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """IntelliRouter's own request fields: what to do before and around the model's answer.

    `guardrails` are guards beside those that hold anyway; `guarded_as` names the `persona`
    whose guards hold, with its `guardrails`, where somebody else put its words into the request. `rag` is the retrieval request, `tags` steer rules and spend reports, `cache_control` is the request's
    say over the response cache (`no-cache`, `no-store`, `max-age=N`).
    """

    persona: str | None = None
    persona_variables: dict[str, Any] | None = None
    conversation: str | None = None
    rag: dict[str, Any] | None = None
    tags: tuple[str, ...] = ()
    strategy: str | None = None
    fallbacks: tuple[str, ...] = ()
    timeout: float | None = None
    cache_control: str | None = None
    idempotency_key: str | None = None
    guardrails: tuple[str, ...] = ()
    guarded_as: dict[str, Any] | None = None
