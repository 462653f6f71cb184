"""A cross-encoder's second opinion: what is asked of one, and one over HTTP.

Over HTTP it is the `/rerank` form that Cohere introduced and Jina, vLLM and others share:
`{"model", "query", "documents", "top_n"}` → `{"results": [{"index", "relevance_score"}]}`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from intellirouter.errors import AnswerTooLong, PeerUnavailable, UpstreamError
from intellirouter.transport.outgoing.door import Ask, OutgoingDoor

MOST = 50
"""Candidates that are judged; what is behind them keeps its order."""
MAX_ANSWER = 1 << 20


class Reranker(Protocol):
    """Judges texts by a query."""

    async def scores(self, model: str, query: str, texts: Sequence[str]) -> list[float]:
        """One score a text, higher is better. Raises `PeerUnavailable` when it does not judge them all in time."""

    async def close(self) -> None:
        """Release what it holds."""


class _Result(msgspec.Struct):
    index: int
    relevance_score: float


class _Answer(msgspec.Struct):
    results: list[_Result]


class RerankService:
    """One service. Its address is the operator's own, so it may be anywhere; it gets every other bound of the outgoing door."""

    def __init__(self, url: str, api_key: str | None, seconds: float, door: OutgoingDoor) -> None:
        self._url, self._seconds, self._door = url, seconds, door
        self._headers = {"content-type": "application/json"}
        if api_key:
            self._headers["authorization"] = f"Bearer {api_key}"

    async def scores(self, model: str, query: str, texts: Sequence[str]) -> list[float]:
        """See `Reranker.scores`."""
        asked = {"model": model, "query": query, "documents": list(texts), "top_n": len(texts)}
        try:
            answer = await self._door.send(
                Ask(
                    self._url,
                    "POST",
                    self._headers,
                    msgspec.json.encode(asked),
                    seconds=self._seconds,
                    max_bytes=MAX_ANSWER,
                    trusted=True,
                )
            )
        except AnswerTooLong as cause:
            raise PeerUnavailable(f"The reranker at {self._url} answered at too great length.") from cause
        except UpstreamError as cause:
            raise PeerUnavailable(f"The reranker at {self._url} does not answer.") from cause
        if answer.status != 200:
            raise PeerUnavailable(f"The reranker at {self._url} answered {answer.status}.")
        try:
            results = msgspec.json.decode(answer.body, type=_Answer).results
        except msgspec.DecodeError as cause:
            raise PeerUnavailable(f"The reranker at {self._url} sent no rerank answer.") from cause
        judged = {result.index: result.relevance_score for result in results}
        if judged.keys() != set(range(len(texts))):
            raise PeerUnavailable(f"The reranker at {self._url} did not judge every text.")
        return [judged[index] for index in range(len(texts))]

    async def close(self) -> None:
        """The door is its owner's to close."""
