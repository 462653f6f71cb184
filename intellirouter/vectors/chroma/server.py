"""A Chroma server, by its HTTP API v2, with deadlines and verified TLS."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import aiohttp
import msgspec
import numpy as np

from intellirouter.errors import StateUnavailable
from intellirouter.vectors.index import Hit, Vectors

TIMEOUT = aiohttp.ClientTimeout(total=30, connect=3)
PAGE = 5_000


class ChromaServer:
    """`VectorIndex` on a server. Open within a running event loop."""

    def __init__(
        self,
        url: str,
        *,
        tenant: str = "default_tenant",
        database: str = "default_database",
        token: str | None = None,
    ) -> None:
        self.url = url.rstrip("/")
        self._base = f"{self.url}/api/v2/tenants/{tenant}/databases/{database}/collections"
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._session = aiohttp.ClientSession(timeout=TIMEOUT, headers=headers)
        self._ids: dict[str, str] = {}

    async def upsert(self, name: str, ids: Sequence[str], vectors: Vectors) -> None:
        """Write vectors, replacing those that exist."""
        body = {"ids": list(ids), "embeddings": np.asarray(vectors, np.float32).tolist()}
        if await self._on(name, self._made, "upsert", body) is None:
            raise StateUnavailable(f"the Chroma server at {self.url} lost the collection it just made")

    async def delete(self, name: str, ids: Sequence[str]) -> None:
        """Remove what is there of `ids`."""
        if ids:
            await self._on(name, self._there, "delete", {"ids": list(ids)})

    async def drop(self, name: str) -> None:
        """Remove the collection, if there is one."""
        self._ids.pop(name, None)
        await self._ask("DELETE", f"{self._base}/{name}")

    async def query(self, name: str, vector: Vectors, limit: int) -> list[Hit]:
        """The nearest, best first."""
        body = {
            "query_embeddings": [np.asarray(vector).tolist()],
            "n_results": limit,
            "include": ["distances"],
        }
        found = await self._on(name, self._there, "query", body)
        if found is None:
            return []
        pairs = zip(found["ids"][0], found["distances"][0], strict=True)
        return [Hit(id_, 1.0 - distance) for id_, distance in pairs]

    async def fetch(self, name: str, ids: Sequence[str]) -> dict[str, Vectors]:
        """The vectors of those of `ids` that are there."""
        found = (
            await self._on(name, self._there, "get", {"ids": list(ids), "include": ["embeddings"]})
            if ids
            else None
        )
        if found is None:
            return {}
        pairs = zip(found["ids"], found["embeddings"], strict=True)
        return {id_: np.asarray(vector, np.float32) for id_, vector in pairs}

    async def ids(self, name: str) -> set[str]:
        """Every id of the collection."""
        every: set[str] = set()
        offset = 0
        while found := await self._on(
            name, self._there, "get", {"limit": PAGE, "offset": offset, "include": []}
        ):
            every.update(found["ids"])
            offset += PAGE
            if len(found["ids"]) < PAGE:
                break
        return every

    async def too_few(self, name: str) -> set[str]:  # noqa: ARG002  every vector is here once
        """None."""
        return set()

    async def ping(self) -> None:
        """Return when Chroma answers."""
        if await self._ask("GET", f"{self.url}/api/v2/heartbeat") is None:
            raise StateUnavailable(f"{self.url} is no Chroma server of API v2")

    async def close(self) -> None:
        """Release the connections."""
        await self._session.close()

    async def _on(
        self, name: str, look_up: Callable[[str], Awaitable[Any]], operation: str, body: dict[str, Any]
    ) -> Any:
        """The answer, or None when there is no such collection. An id that became stale is looked up once more."""
        for _ in range(2):
            id_ = self._ids.get(name) or self._known(name, await look_up(name))
            if id_ is None:
                return None
            answer = await self._ask("POST", f"{self._base}/{id_}/{operation}", body)
            if answer is not None:
                return answer
            self._ids.pop(name, None)
        return None

    async def _there(self, name: str) -> Any:
        return await self._ask("GET", f"{self._base}/{name}")

    async def _made(self, name: str) -> Any:
        body = {"name": name, "get_or_create": True, "configuration": {"hnsw": {"space": "cosine"}}}
        return await self._ask("POST", self._base, body)

    def _known(self, name: str, found: Any) -> str | None:
        if found is None:
            return None
        self._ids[name] = found["id"]
        return self._ids[name]

    async def _ask(self, method: str, url: str, body: object = None) -> Any:
        """The decoded answer; None for 404."""
        data = None if body is None else msgspec.json.encode(body)
        headers = {"Content-Type": "application/json"} if data else None
        try:
            async with self._session.request(method, url, data=data, headers=headers) as response:
                raw = await response.read()
        except (aiohttp.ClientError, TimeoutError, asyncio.IncompleteReadError) as cause:
            raise StateUnavailable(f"the Chroma server at {self.url} does not answer") from cause
        if response.status == 404:
            return None
        if response.status >= 400:
            raise StateUnavailable(f"the Chroma server at {self.url} answered {response.status}")
        try:
            return msgspec.json.decode(raw) if raw else {}
        except msgspec.DecodeError as cause:
            raise StateUnavailable(f"the Chroma server at {self.url} sent no JSON") from cause
