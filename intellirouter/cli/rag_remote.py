"""A running RagManager, asked over HTTP by the `rag` commands: what they use of a `RagService`."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlencode

import aiohttp
import msgspec

from intellirouter.cli.server_client import reason_of, refusal
from intellirouter.errors import (
    Conflict,
    IntelliRouterError,
    InvalidRequest,
    NotFound,
    PayloadTooLarge,
    PeerUnavailable,
)
from intellirouter.peers.contract import Call, RetrievalRequest, Retrieved
from intellirouter.peers.documents import retrieval_document, retrieved_of

SILENCE_SECONDS = 60.0
"""Between two signs of life while a job is followed."""
POLL_SECONDS = 0.5
REFUSALS: dict[int, Callable[[str], IntelliRouterError]] = {
    400: InvalidRequest,
    404: NotFound,
    409: Conflict,
    413: PayloadTooLarge,
    503: PeerUnavailable,
}
Row = dict[str, Any]


class RemoteRag:
    """The tenant is that of the session's key: the one that the commands name is not sent."""

    max_document_bytes = 1 << 62
    """What is too large for it the server says itself."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def prepare(self) -> None:
        """The server has its embedder, or says so with a job."""

    async def create(self, _tenant: str, name: str, *, split: bool = False) -> None:
        """See `RagService.create`."""
        await self._ask("POST", "/collections", {"name": name, "split": split})

    async def collections(self, _tenant: str) -> list[Row]:
        """See `RagService.collections`."""
        return await self._rows("/collections", "collections")

    async def documents(self, _tenant: str, name: str) -> list[Row]:
        """See `RagService.documents`; a page after the other."""
        rows: list[Row] = []
        while True:
            after = urlencode({"after": rows[-1]["name"]}) if rows else ""
            page = await self._ask("GET", f"{_of(name)}/documents?{after}")
            rows += page["documents"]
            if not page["has_more"]:
                return rows

    async def submit(self, _tenant: str, name: str, document: str, data: bytes) -> str:
        """See `RagService.submit`."""
        path = f"{_of(name)}/documents?{urlencode({'name': document})}"
        return str((await self._ask("POST", path, data))["job"])

    async def drop(self, _tenant: str, name: str) -> None:
        """See `RagService.drop`."""
        await self._ask("DELETE", _of(name))

    async def drop_document(self, _tenant: str, name: str, document: str) -> None:
        """See `RagService.drop_document`."""
        await self._ask("DELETE", f"{_of(name)}/documents/{quote(document)}")

    async def ended(self, _tenant: str, job: str) -> Row:
        """See `RagService.ended`. The server says when it is over, however long that takes."""
        path = f"/jobs/{quote(job)}/events"
        forever = aiohttp.ClientTimeout(total=None, sock_read=SILENCE_SECONDS)
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):  # it is asked again below
            async with self._session.get(f"/rag/v1{path}", timeout=forever) as reply:
                async for _ in reply.content.iter_any():
                    pass
        state = await self._ask("GET", f"/jobs/{quote(job)}")
        if state["status"] in ("queued", "running"):
            raise PeerUnavailable(
                f"the RagManager ended before the job {job} did; it goes on when it is back"
            )
        return state

    async def jobs(self, _tenant: str) -> list[Row]:
        """See `RagService.jobs`."""
        return await self._rows("/jobs", "jobs")

    async def reindex(self, _tenant: str, name: str) -> list[str]:
        """See `RagService.reindex`."""
        jobs: list[str] = (await self._ask("POST", f"{_of(name)}/reindex"))["jobs"]
        return jobs

    async def differences(self, _tenant: str, name: str) -> tuple[int, int]:
        """See `RagService.differences`."""
        found = await self._ask("POST", f"{_of(name)}/verify")
        return found["missing"], found["stray"]

    async def rebuild(self, _tenant: str, name: str) -> int:
        """See `RagService.rebuild`."""
        return int((await self._ask("POST", f"{_of(name)}/rebuild"))["written"])

    async def retrieve(self, request: RetrievalRequest, _call: Call) -> Retrieved:
        """See `RagService.retrieve`."""
        return retrieved_of(await self._ask("POST", "/retrieve", retrieval_document(request)))

    async def sources_of(self, _tenant: str) -> list[Row]:
        """See `RagService.sources_of`."""
        return await self._rows("/sources", "sources")

    async def source(self, _tenant: str, name: str) -> Row:
        """See `RagService.source`."""
        return await self._ask("GET", f"/sources/{quote(name, safe='')}")

    async def sync_source(self, tenant: str, name: str, *, anew: bool = False, remove: bool = False) -> Row:
        """See `RagService.sync_source`. The server is asked until a look that began after this is over."""
        before = (await self.source(tenant, name))["last"]
        began = before["started"] if before else 0.0
        words = urlencode({"anew": str(anew).lower(), "remove": str(remove).lower()})
        await self._ask("POST", f"/sources/{quote(name, safe='')}/sync?{words}")
        asked = time.monotonic()
        while True:
            row = await self.source(tenant, name)
            last = row["last"]
            begun = last is not None and last["started"] > began
            if begun and last["outcome"] != "running":
                return row
            if not begun and not row["running"] and time.monotonic() - asked > SILENCE_SECONDS:
                raise PeerUnavailable(f"the RagManager does not begin to look at {name}; its log says why")
            await asyncio.sleep(POLL_SECONDS)

    async def _rows(self, path: str, field: str) -> list[Row]:
        rows: list[Row] = (await self._ask("GET", path))[field]
        return rows

    async def _ask(self, method: str, path: str, body: Row | bytes | None = None) -> Row:
        data = body if isinstance(body, bytes) or body is None else msgspec.json.encode(body)
        try:
            async with self._session.request(method, f"/rag/v1{path}", data=data) as reply:
                answer = msgspec.json.decode(await reply.read())
        except (aiohttp.ClientError, TimeoutError, msgspec.MsgspecError) as error:
            reason = str(error) or type(error).__name__
            raise PeerUnavailable(f"no RagManager answers {method} /rag/v1{path}: {reason}") from error
        if not isinstance(answer, dict):
            raise PeerUnavailable(f"what answers {method} /rag/v1{path} is no RagManager")
        if reply.status >= 400:
            known = REFUSALS.get(reply.status)
            raise refusal(reply.status, answer) if known is None else known(reason_of(answer))
        return answer


def _of(collection: str) -> str:
    return f"/collections/{quote(collection, safe='')}"
