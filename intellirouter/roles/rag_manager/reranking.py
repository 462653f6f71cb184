"""A cross-encoder's second opinion: what is asked of one, and one over HTTP.

Over HTTP it is the `/rerank` form that Cohere introduced and Jina, vLLM and others share:
`{"model", "query", "documents", "top_n"}` → `{"results": [{"index", "relevance_score"}]}`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

import aiohttp
import msgspec

from intellirouter.errors import PeerUnavailable

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
    """One service. Open within a running event loop."""

    def __init__(self, url: str, api_key: str | None, seconds: float) -> None:
        self._url = url
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=seconds), headers=headers)

    async def scores(self, model: str, query: str, texts: Sequence[str]) -> list[float]:
        """See `Reranker.scores`."""
        body = {"model": model, "query": query, "documents": list(texts), "top_n": len(texts)}
        try:
            async with self._session.post(
                self._url,
                data=msgspec.json.encode(body),
                headers={"Content-Type": "application/json"},
                allow_redirects=False,
            ) as response:
                raw = bytearray()
                async for part in response.content.iter_any():
                    raw += part
                    if len(raw) > MAX_ANSWER:
                        raise PeerUnavailable(f"The reranker at {self._url} answered at too great length.")
        except (aiohttp.ClientError, TimeoutError, asyncio.IncompleteReadError) as cause:
            raise PeerUnavailable(f"The reranker at {self._url} does not answer.") from cause
        if response.status != 200:
            raise PeerUnavailable(f"The reranker at {self._url} answered {response.status}.")
        try:
            results = msgspec.json.decode(raw, type=_Answer).results
        except msgspec.DecodeError as cause:
            raise PeerUnavailable(f"The reranker at {self._url} sent no rerank answer.") from cause
        judged = {result.index: result.relevance_score for result in results}
        if judged.keys() != set(range(len(texts))):
            raise PeerUnavailable(f"The reranker at {self._url} did not judge every text.")
        return [judged[index] for index in range(len(texts))]

    async def close(self) -> None:
        """Release the connections."""
        await self._session.close()
