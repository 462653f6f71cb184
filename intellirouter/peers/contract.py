"""The four protocols between roles.

`deadline` is an absolute time of `time.monotonic()`; a peer never works past it. Errors are those of `errors.py`;
`PeerUnavailable` when the other side does not answer.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Protocol

import msgspec

from intellirouter.chat.delta import StreamEvent
from intellirouter.chat.embedding import EmbeddingRequest, EmbeddingResponse
from intellirouter.chat.model import ChatRequest, Message
from intellirouter.chat.response import ChatResponse
from intellirouter.security.caller import Caller, Owner
from intellirouter.transport.contract import Deadlines, Reply


@dataclass(frozen=True, slots=True)
class Call:
    """What travels with every call between roles. `session` names what the call belongs to, for the record."""

    caller: Caller
    request_id: str
    deadline: float | None = None
    idempotency_key: str | None = None
    traceparent: str | None = None
    session: str = ""
    told_cost: Callable[[float], None] | None = None
    """Hears what a streamed answer cost in US dollars, at its end and where that is known."""


_RequestId = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
MAX_JUDGED = 200


class Judgement(msgspec.Struct, frozen=True):
    """How good the answers to some requests were, by whoever is called `by`: what one says of a request counts once."""

    request_ids: Annotated[tuple[_RequestId, ...], msgspec.Meta(min_length=1, max_length=MAX_JUDGED)]
    score: Annotated[float, msgspec.Meta(ge=0, le=1)]
    by: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]


class ChatCompleter(Protocol):
    """The Router, to the others."""

    async def complete(self, request: ChatRequest, call: Call) -> ChatResponse:
        """A whole answer."""

    def stream(self, request: ChatRequest, call: Call) -> AsyncIterator[StreamEvent]:
        """A streamed answer; raises `StreamInterrupted` where it breaks."""

    async def embed(self, request: EmbeddingRequest, call: Call) -> EmbeddingResponse:
        """Vectors."""

    async def caller_of(self, owner: Owner, call: Call) -> Caller:
        """The owner of stored work as it may act now: the front knows every key. Raises `KeyEnded`."""

    async def judge(self, judged: Judgement, call: Call) -> int:
        """Learn what became of requests of the caller's tenant; of how many, those judged before not counted. Raises `StateUnavailable`."""


class RoleApi(Protocol):
    """The HTTP API of a role elsewhere, for what clients ask of it at the Router."""

    async def send(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes,
        call: Call,
        deadlines: Deadlines,
    ) -> Reply:
        """Whatever the role answers; whoever asks closes it. Raises `PeerUnavailable`."""


@dataclass(frozen=True, slots=True)
class Passage:
    """One retrieved passage. Scores are those of the stages that ran, fused in `score` (higher is better)."""

    id: str
    text: str
    score: float
    document_id: str
    collection: str
    title: str = ""
    location: str = ""
    dense_score: float | None = None
    lexical_score: float | None = None
    rerank_score: float | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RetrievalRequest:
    """What to look for. `filters` has OpenAI's filter form; `token_budget` bounds the passages together.

    `relevant` leaves out what has nothing to do with the query, and all where it is a greeting. `mode` is `fused`, or `dense`
    or `lexical` alone. `expand` has a model help (`multi_query`, `hyde`); None: as the collection's configuration says. `variants`
    are the same question in other words, `passages` texts as might answer it: what they find is fused with what the query finds.
    """

    query: str
    collections: tuple[str, ...]
    top_k: int = 5
    filters: Mapping[str, Any] | None = None
    min_score: float = 0.0
    token_budget: int | None = None
    rerank: str | None = None
    explain: bool = False
    relevant: bool = False
    mode: str = "fused"
    expand: tuple[str, ...] | None = None
    variants: tuple[str, ...] = ()
    passages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Retrieved:
    """Passages, best first. `partial` when a shard did not answer; `skipped` says why nothing was looked up.

    `notes` say what was done without, as where a model was to help and did not.
    """

    passages: tuple[Passage, ...]
    partial: bool = False
    skipped: str | None = None
    explanation: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


class Retriever(Protocol):
    """The RagManager, to the others."""

    async def retrieve(self, request: RetrievalRequest, call: Call) -> Retrieved:
        """Look up passages. Raises `NotFound` for an unknown collection."""


@dataclass(frozen=True, slots=True)
class ResolvedPersona:
    """A persona made ready to apply to one request.

    `messages` go before the conversation (system prompt first, then few-shot turns); `defaults` are request
    fields used where the request is silent; `rag` a retrieval request; `guardrails` the persona's rules.
    `shared` says that it is the operator's, not its caller's own.
    """

    name: str
    version: int
    messages: tuple[Message, ...]
    model: str | None = None
    defaults: Mapping[str, Any] = field(default_factory=dict)
    tools: tuple[Mapping[str, Any], ...] = ()
    rag: Mapping[str, Any] | None = None
    guardrails: Mapping[str, Any] = field(default_factory=dict)
    shared: bool = False


class PersonaResolver(Protocol):
    """The PersonaLayer, to the others."""

    async def resolve(self, name: str, variables: Mapping[str, Any], call: Call) -> ResolvedPersona:
        """Render the persona. Raises `NotFound`, or `InvalidRequest` naming a bad variable."""


@dataclass(frozen=True, slots=True)
class RunResult:
    """A finished run: `output` as the definition shapes it; `text` where it reads as one answer.

    `error` says why there is none, and `cause` by which code: of the step that failed, or of the run itself.
    """

    run_id: str
    status: str
    output: Any
    text: str
    usage: Mapping[str, Any] = field(default_factory=dict)
    error: str | None = None
    cause: str | None = None

    @classmethod
    def of(cls, run: Mapping[str, Any], text: str, usage: Mapping[str, Any]) -> RunResult:
        """What a run that ended says, as clients see it."""
        error = run["error"] or {}
        cause = error.get("cause") or error.get("code")
        return cls(run["id"], run["status"], run["output"], text, usage, error.get("message"), cause)


class ChainRunner(Protocol):
    """The ChainEngine, to the others."""

    async def run(self, name: str, inputs: Mapping[str, Any], call: Call) -> RunResult:
        """Run a stored chain and wait for it. Raises `NotFound`."""
