"""Parse files in a process of its own, bounded in memory, time and output."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from intellirouter.config import env
from intellirouter.errors import InvalidRequest
from intellirouter.roles.rag_manager.chunking import Block


@dataclass(frozen=True, slots=True)
class ParseLimits:
    """`memory` in bytes, `output` in characters, `seconds` of CPU and (twice that) of time; each for one document."""

    memory: int = 1 << 30
    seconds: int = 60
    output: int = 256 << 20


PARSERS = 2
"""Processes at most for small documents, and as many for larger ones, which may take minutes.

One owner has one of each at a time, so that its documents, however long they take, leave one for others.
"""
SMALL_BYTES = 64 << 10


class Parsers:
    """The parsing processes of this node, taken in turn by those whose documents wait."""

    def __init__(self, limits: ParseLimits) -> None:
        self._small, self._large = _Places(limits), _Places(limits)

    async def parse(
        self,
        file: Path,
        name: str,
        owner: str,
        charset: str = "",
        size: int = SMALL_BYTES + 1,
        data: bytes | None = None,
    ) -> tuple[str, list[Block]]:
        """As `Parser.parse`, in the owner's turn. `size` is the document's in bytes."""
        places = self._small if size <= SMALL_BYTES else self._large
        async with places.taken_by(owner) as parser:
            return await parser.parse(file, name, charset, data)

    async def aclose(self) -> None:
        """End the processes."""
        for parser in (*self._small.all, *self._large.all):
            await parser.aclose()


class _Places:
    def __init__(self, limits: ParseLimits) -> None:
        self._free = [Parser(limits) for _ in range(PARSERS)]
        self.all = tuple(self._free)
        self._places = asyncio.Semaphore(PARSERS)
        self._turns: dict[str, tuple[asyncio.Lock, int]] = {}

    @contextlib.asynccontextmanager
    async def taken_by(self, owner: str) -> AsyncIterator[Parser]:
        turn, waiting = self._turns.get(owner, (asyncio.Lock(), 0))
        self._turns[owner] = turn, waiting + 1
        try:
            async with turn, self._places:
                parser = self._free.pop()
                try:
                    yield parser
                finally:
                    self._free.append(parser)
        finally:
            turn, waiting = self._turns.pop(owner)
            if waiting > 1:
                self._turns[owner] = turn, waiting - 1


class Parser:
    """One process that reads one document after another. It is started by the first, and again when a document ended it."""

    def __init__(self, limits: ParseLimits) -> None:
        self._limits = limits
        self._child: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()

    async def parse(
        self, file: Path, name: str, charset: str = "", data: bytes | None = None
    ) -> tuple[str, list[Block]]:
        """The document's title and blocks. Raises `InvalidRequest` saying why the document cannot be read.

        `data` is what the file holds, where the process cannot read it by itself: a file that is encrypted.
        """
        limits = self._limits
        async with self._turn:
            kept = False
            try:
                async with asyncio.timeout(2 * limits.seconds):
                    blocks, (verdict, text, last) = await self._exchange(file, name, charset, data)
                kept = not last
            except TimeoutError as cause:
                raise InvalidRequest(f"'{name}' was not read within {2 * limits.seconds} s.") from cause
            except (OSError, asyncio.IncompleteReadError) as cause:
                raise InvalidRequest(
                    f"'{name}' exceeds the limits of parsing ({limits.seconds} s, {limits.memory >> 20} MiB)."
                ) from cause
            finally:
                if not kept:
                    await self.aclose()
        if verdict == "error":
            raise InvalidRequest(f"'{name}': {text}")
        return text, blocks

    async def aclose(self) -> None:
        """End the process."""
        child, self._child = self._child, None
        if child is not None and child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            await child.wait()

    async def _exchange(
        self, file: Path, name: str, charset: str, data: bytes | None
    ) -> tuple[list[Block], tuple[str, str, bool]]:
        if self._child is None or self._child.returncode is not None:
            limits = self._limits
            words = (str(limits.memory), str(limits.seconds), str(limits.output))
            self._child = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "intellirouter.roles.rag_manager.parsing.child", *words),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                env=env.for_child(),
                start_new_session=True,
            )
        source, sink = self._child.stdout, self._child.stdin
        if source is None or sink is None:
            raise BrokenPipeError
        request = msgspec.msgpack.encode((str(file), name, charset, data))
        sink.write(len(request).to_bytes(4) + request)
        await sink.drain()
        blocks: list[Block] = []
        while True:
            length = int.from_bytes(await source.readexactly(4))
            answer = msgspec.msgpack.decode(await source.readexactly(length))
            if answer[0] != "blocks":
                return blocks, answer
            blocks += [Block(*block) for block in answer[1]]
