"""What a provider adapter is: a record of pure functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec
from pydantic import SecretStr

from intellirouter.chat.delta import StreamEvent
from intellirouter.chat.embedding import EmbeddingRequest, EmbeddingResponse
from intellirouter.chat.model import ChatRequest
from intellirouter.chat.response import ChatResponse
from intellirouter.chat.wire import WireFormat
from intellirouter.errors import UpstreamError


@dataclass(frozen=True, slots=True)
class Target:
    """One upstream model behind one endpoint with one credential.

    `provider` is the operator's name for the endpoint, `model` the vendor's own name for the model, `base_url` has
    no trailing slash. `options` are the adapter's own settings (an API version, a deployment, quirk flags).
    """

    provider: str
    model: str
    base_url: str
    api_key: SecretStr | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    written: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)
    """What adapters wrote for this target and need again for every request: URLs and header lists, by their own key."""


class HttpRequest(msgspec.Struct, frozen=True):
    """One HTTP request. Header names are as sent; `url` is absolute; `body` is complete.

    `notes` are for the caller: what of the request was only approximated. `names` are those of tools that were changed for
    this vendor, each with what the caller called it.
    """

    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes = b""
    notes: tuple[str, ...] = ()
    names: Mapping[str, str] = {}


class HttpResponse(msgspec.Struct, frozen=True):
    """One whole HTTP response. Header names are lower case; the body's content coding is already undone."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """One model of a provider's own list."""

    id: str
    created: int = 0
    context_window: int | None = None
    max_output_tokens: int | None = None
    capabilities: frozenset[str] = frozenset()
    extra: Mapping[str, Any] = field(default_factory=dict)


class StreamParser(Protocol):
    """Bytes of one streamed answer to events; sans-io, one instance per stream."""

    def feed(self, data: bytes) -> list[StreamEvent]:
        """Take the next bytes, however they were split. Raises the error an error event carries."""

    def close(self) -> list[StreamEvent]:
        """The connection ended. Raises `StreamInterrupted` unless the answer was complete."""

    @property
    def complete(self) -> bool:
        """The answer is whole: a connection that breaks now does no harm."""

    @property
    def done(self) -> bool:
        """Nothing more will come: stop reading."""

    @property
    def rewritten(self) -> bool:
        """The vendor did not stream: the events have no bytes of his that could be passed on."""


@dataclass(frozen=True, slots=True)
class Adapter:
    """One provider dialect.

    `wire` is the chat format it speaks; `models`, `embeddings` and `count` (of a request's input tokens, before it is
    made) are absent where the vendor has none.
    `peek_chat` reads only what a router must know of an answer that goes on unchanged to a client of the same dialect,
    `peek_embeddings` the same of vectors for a client of OpenAI's embeddings.
    `instead` names another adapter for a request that this one's vendor only takes in another dialect.
    `parse_error` always returns an error (never raises), whatever the bytes are.
    """

    kind: str
    wire: WireFormat
    default_base_url: str
    build_chat: Callable[[ChatRequest, Target], HttpRequest]
    parse_chat: Callable[[HttpResponse], ChatResponse]
    new_stream: Callable[[], StreamParser]
    parse_error: Callable[[HttpResponse, str], UpstreamError]
    peek_chat: Callable[[HttpResponse], ChatResponse] | None = None
    build_models: Callable[[Target], HttpRequest] | None = None
    parse_models: Callable[[HttpResponse], tuple[ModelInfo, ...]] | None = None
    build_embeddings: Callable[[EmbeddingRequest, Target], HttpRequest] | None = None
    parse_embeddings: Callable[[HttpResponse], EmbeddingResponse] | None = None
    peek_embeddings: Callable[[HttpResponse, EmbeddingRequest], EmbeddingResponse] | None = None
    max_embedding_inputs: int = 1
    build_count: Callable[[ChatRequest, Target], HttpRequest] | None = None
    parse_count: Callable[[HttpResponse], int] | None = None
    instead: Callable[[ChatRequest, Target], Adapter | None] | None = None
