"""Files into a collection, a few ahead of the one that is awaited, with a progress bar."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    stop_after_delay,
    wait_exponential,
)

from intellirouter.errors import Conflict, InvalidRequest, PayloadTooLarge, PeerUnavailable
from intellirouter.roles.rag_manager.sources.folder import walk
from intellirouter.roles.rag_manager.sources.source import Trouble

AHEAD = 16
"""Files handed in before the first of them is done: one is parsed while others are embedded."""
PATIENCE_SECONDS = 120.0
"""How long a RagManager may be away: one that starts again has all it took, and goes on with it."""
T = TypeVar("T")


def bar_of(**options: Any) -> Progress:
    """A bar on standard error, so that standard output is the result."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=Console(stderr=True), **options)


def files_under(root: Path) -> dict[str, Path]:
    """By the name that the document gets; hidden and unfinished files are left out. Raises `InvalidRequest` where a folder cannot be read."""
    if root.is_file():
        return {root.name: root}
    found = {}
    for one in walk(root, outside=True):
        if isinstance(one, Trouble):
            raise InvalidRequest(f"{root / one.name} {one.reason}.")
        found[one.name] = root / one.name
    return found


async def ready_collection(service: Any, tenant: str, collection: str) -> None:
    """Make the collection when it is missing, and open the embedder. A vector store, named by its id, is there already."""
    await service.prepare()
    if not collection.startswith("vs_"):
        with contextlib.suppress(Conflict):  # asked rather than looked for: a list needs every node
            await service.create(tenant, collection)


async def feed(service: Any, tenant: str, collection: str, files: Mapping[str, Path]) -> Counter[str]:
    """How many ended how. What is wrong with a file is printed above the bar, and what is wrong with the node once."""
    outcomes: Counter[str] = Counter()
    told: set[str] = set()
    under_way: deque[str] = deque()
    with bar_of() as progress:
        bar = progress.add_task("ingesting", total=len(files))

        def over(status: str, error: str | None) -> None:
            outcomes[status] += 1
            if error and error not in told:
                told.add(error)
                progress.console.print(error, highlight=False, markup=False, soft_wrap=True)
            progress.advance(bar)

        def away(state: RetryCallState) -> None:
            if state.attempt_number == 1 and state.outcome is not None:
                reason = getattr(state.outcome.exception(), "message", "no answer")
                progress.console.print(f"waiting: {reason}", highlight=False, markup=False, soft_wrap=True)

        async def patiently(ask: Callable[[], Awaitable[T]]) -> T:
            return await AsyncRetrying(
                retry=retry_if_exception_type(PeerUnavailable),
                wait=wait_exponential(0.25, max=5),
                stop=stop_after_delay(PATIENCE_SECONDS),
                before_sleep=away,
                reraise=True,
            )(ask)

        async def settle() -> None:
            state = await patiently(partial(service.ended, tenant, under_way.popleft()))
            over(state["status"], state["error"])

        for name, file in files.items():
            try:
                data = await asyncio.to_thread(_read, file, service.max_document_bytes)
                under_way.append(await patiently(partial(service.submit, tenant, collection, name, data)))
            except (PayloadTooLarge, OSError) as refused:
                over("failed", getattr(refused, "message", str(refused)))
            if len(under_way) >= AHEAD:
                await settle()
        while under_way:
            await settle()
    return outcomes


async def changed(
    service: Any, tenant: str, collection: str, files: Mapping[str, Path]
) -> tuple[dict[str, Path], list[str], int]:
    """The files that are new, differ or were never read to the end, the documents that have no file, and how many there are in all."""
    known = {row["name"]: row for row in await service.documents(tenant, collection)}
    fresh = {}
    for name, file in files.items():
        row = known.get(name)
        size = (await asyncio.to_thread(file.stat)).st_size
        same = row is not None and row["status"] == "ready" and row["bytes"] == size
        if row is None or not same or row["sha256"] != await asyncio.to_thread(_digest, file):
            fresh[name] = file
    return fresh, [name for name in known if name not in files], len(known)


def _digest(file: Path) -> str:
    with file.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _read(file: Path, most: int) -> bytes:
    """Its bytes. A file that is too large is refused unread."""
    if (size := file.stat().st_size) > most:
        raise PayloadTooLarge(f"{file} has {size} bytes; at most {most} are taken (rag.max_document_bytes).")
    return file.read_bytes()
