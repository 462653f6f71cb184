"""An embedded Chroma, owned by a child process. A child that dies is started again by the next call."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import structlog

from intellirouter import tasks
from intellirouter.config import env
from intellirouter.errors import StateUnavailable
from intellirouter.vectors.chroma.child import LOCKED
from intellirouter.vectors.index import Hit, Vectors

CALL_SECONDS = 60.0
STOP_SECONDS = 10.0
log = structlog.get_logger(__name__)


class EmbeddedChroma:
    """`VectorIndex` on a directory of this node. Calls run one after another, in order."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._child: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()
        self._under_way: asyncio.Task[Any] | None = None

    @property
    def pid(self) -> int | None:
        """The child's process id while it runs."""
        return self._child.pid if self._child and self._child.returncode is None else None

    async def upsert(self, name: str, ids: Sequence[str], vectors: Vectors) -> None:
        """Write vectors, replacing those that exist."""
        await self._call("upsert", name, list(ids), _bytes(vectors))

    async def delete(self, name: str, ids: Sequence[str]) -> None:
        """Remove what is there of `ids`."""
        if ids:
            await self._call("delete", name, list(ids))

    async def drop(self, name: str) -> None:
        """Remove the collection, if there is one."""
        await self._call("drop", name)

    async def query(self, name: str, vector: Vectors, limit: int) -> list[Hit]:
        """The nearest, best first."""
        ids, scores = await self._call("query", name, _bytes(vector), limit)
        return [Hit(id_, score) for id_, score in zip(ids, scores, strict=True)]

    async def fetch(self, name: str, ids: Sequence[str]) -> dict[str, Vectors]:
        """The vectors of those of `ids` that are there."""
        if not ids:
            return {}
        found, raw = await self._call("fetch", name, list(ids))
        if not found:
            return {}
        return dict(zip(found, np.frombuffer(raw, np.float32).reshape(len(found), -1), strict=True))

    async def ids(self, name: str) -> set[str]:
        """Every id of the collection, a page at a time: whoever asks meanwhile does not wait for all of them."""
        every: set[str] = set()
        offset = 0
        while page := await self._call("ids", name, offset):
            every.update(page)
            offset += len(page)
        return every

    async def too_few(self, name: str) -> set[str]:  # noqa: ARG002  every vector is here once
        """None."""
        return set()

    async def ping(self) -> None:
        """Return when Chroma answers."""
        await self._call("ping", "")

    async def close(self) -> None:
        """End the child: it finishes the call under way, closes Chroma and goes."""
        if self._under_way is not None:
            await asyncio.wait((self._under_way,), timeout=STOP_SECONDS)
            await tasks.end(self._under_way)
        child, self._child = self._child, None
        if child is None or child.returncode is not None:
            return
        if child.stdin is not None:
            child.stdin.close()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await child.wait()
        except TimeoutError:
            child.kill()
            await child.wait()

    async def _call(self, *request: object) -> Any:
        frame = msgspec.msgpack.encode(request)
        await self._turn.acquire()
        # It goes on when its caller leaves: the answer would be taken for that of the next call, and to end the child for
        # that would cost everybody else the seconds until another is up.
        self._under_way = asyncio.create_task(self._answer(frame))
        self._under_way.add_done_callback(lambda _: self._turn.release())
        return await asyncio.shield(self._under_way)

    async def _answer(self, frame: bytes) -> Any:
        try:
            async with asyncio.timeout(CALL_SECONDS):
                ok, value = msgspec.msgpack.decode(await self._exchange(frame))
        except TimeoutError as cause:
            await self._abandon()
            raise StateUnavailable(f"the embedded Chroma did not answer in {CALL_SECONDS:.0f} s") from cause
        except (OSError, asyncio.IncompleteReadError) as cause:
            raise await self._gone() from cause
        except asyncio.CancelledError:
            await self._abandon()
            raise
        if not ok:
            raise StateUnavailable(f"the embedded Chroma failed: {value}")
        return value

    async def _exchange(self, frame: bytes) -> bytes:
        if self._child is None or self._child.returncode is not None:
            self._child = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "intellirouter.vectors.chroma.child", str(self._directory)),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env=env.for_child(),
                start_new_session=True,  # a Ctrl-C at the terminal is for the node, which ends it when all is done
            )
            log.info("vectors.child_started", pid=self._child.pid)
        source, sink = self._child.stdout, self._child.stdin
        if source is None or sink is None:
            raise BrokenPipeError
        sink.write(len(frame).to_bytes(4) + frame)
        await sink.drain()
        return await source.readexactly(int.from_bytes(await source.readexactly(4)))

    async def _abandon(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            await child.wait()

    async def _gone(self) -> StateUnavailable:
        child, self._child = self._child, None
        code = await child.wait() if child else None
        if code == LOCKED:
            return StateUnavailable(
                f"another process holds the vector store {self._directory}. Stop it, or use a Chroma server "
                "(rag.vector_db_url) for several processes."
            )
        log.warning("vectors.child_ended", exit_code=code)
        return StateUnavailable(
            f"the process of the embedded Chroma ended (exit code {code}); the next call starts it again"
        )


def _bytes(vectors: Vectors) -> bytes:
    return np.ascontiguousarray(vectors, np.float32).tobytes()
