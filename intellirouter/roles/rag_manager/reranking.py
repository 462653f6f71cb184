"""A cross-encoder's second opinion: what is asked of one, and one over HTTP.

Over HTTP it is the `/rerank` form that Cohere introduced and Jina, vLLM and others share:
`{"model", "query", "documents", "top_n"}` → `{"results": [{"index", "relevance_score"}]}`.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Protocol

import msgspec

from intellirouter.chat.tokens import text_tokens
from intellirouter.errors import AnswerTooLong, PeerUnavailable, UpstreamError, UpstreamUnreachable
from intellirouter.security.caller import Caller
from intellirouter.transport.outgoing.door import Ask, OutgoingDoor

MOST = 50
"""Candidates that are judged; what is behind them keeps its order."""
MAX_ANSWER = 1 << 20


class Reranker(Protocol):
    """Judges texts by a query."""

    async def scores(self, model: str, query: str, texts: Sequence[str], caller: Caller) -> list[float]:
        """One score a text, higher is better. Raises `PeerUnavailable` when it does not judge them all in time.

        Where it costs, it is the caller's to pay: `RateLimited` and `BudgetExceeded` then.
        """

    async def close(self) -> None:
        """Release what it holds."""


class Used(Protocol):
    """What one request used: its tokens, or None where it was never sent."""

    tokens: int | None


class Meter(Protocol):
    """Counts what a service is asked, see `inference/limits/services.py`."""

    def asked(self, caller: Caller, model: str, tokens: int) -> AbstractAsyncContextManager[Used]:
        """A request of so many tokens, while the context is open."""


class _Result(msgspec.Struct):
    index: int
    relevance_score: float


class _Answer(msgspec.Struct):
    results: list[_Result]


class RerankService:
    """One service. Its address is the operator's own, so it may be anywhere; it gets every other bound of the outgoing door."""

    def __init__(
        self, url: str, api_key: str | None, seconds: float, door: OutgoingDoor, meter: Meter | None = None
    ) -> None:
        self._url, self._seconds, self._door, self._meter = url, seconds, door, meter
        self._headers = {"content-type": "application/json"}
        if api_key:
            self._headers["authorization"] = f"Bearer {api_key}"

    async def scores(self, model: str, query: str, texts: Sequence[str], caller: Caller) -> list[float]:
        """See `Reranker.scores`. Tokens are counted as these services do: the query's with each text.

        Source: Voyage AI, "Rerankers", on how tokens are counted.
        """
        asked = {"model": model, "query": query, "documents": list(texts), "top_n": len(texts)}
        tokens = len(texts) * text_tokens(query) + sum(map(text_tokens, texts))
        async with self._meter.asked(caller, model, tokens) if self._meter else nullcontext() as used:
            return await self._judged(msgspec.json.encode(asked), len(texts), used)

    async def _judged(self, body: bytes, number: int, used: Used | None) -> list[float]:
        try:
            answer = await self._door.send(
                Ask(
                    self._url,
                    "POST",
                    self._headers,
                    body,
                    seconds=self._seconds,
                    max_bytes=MAX_ANSWER,
                    trusted=True,
                )
            )
        except UpstreamUnreachable as cause:
            _free(used)
            raise PeerUnavailable(f"The reranker at {self._url} does not answer.") from cause
        except AnswerTooLong as cause:
            raise PeerUnavailable(f"The reranker at {self._url} answered at too great length.") from cause
        except UpstreamError as cause:
            raise PeerUnavailable(f"The reranker at {self._url} does not answer.") from cause
        if answer.status != 200:
            _free(used)
            raise PeerUnavailable(f"The reranker at {self._url} answered {answer.status}.")
        try:
            results = msgspec.json.decode(answer.body, type=_Answer).results
        except msgspec.DecodeError as cause:
            raise PeerUnavailable(f"The reranker at {self._url} sent no rerank answer.") from cause
        judged = {result.index: result.relevance_score for result in results}
        if judged.keys() != set(range(number)):
            raise PeerUnavailable(f"The reranker at {self._url} did not judge every text.")
        return [judged[index] for index in range(number)]

    async def close(self) -> None:
        """The door is its owner's to close."""


def _free(used: Used | None) -> None:
    if used is not None:
        used.tokens = None
