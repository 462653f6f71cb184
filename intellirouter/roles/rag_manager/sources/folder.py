"""A folder of the node's machine. Hidden and unfinished files are left out, and so are links that lead out of it."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from intellirouter.config.schema.rag_sources import RagSource
from intellirouter.errors import PayloadTooLarge, StateUnavailable
from intellirouter.roles.rag_manager.sources.source import Entry, Fetched, Known, Trouble, excluded, wanted

UNFINISHED = (".part", ".partial", ".tmp", ".crdownload", ".swp", "~")
MOST_DEPTH = 64
_PAGE = 500
"""Files that a thread lists before the event loop hears of them."""


@dataclass(frozen=True, slots=True)
class Folder:
    """See `Source`. The mark of a file is its size and when it was last changed."""

    section: RagSource
    root: Path

    async def listed(self, known: Known) -> AsyncIterator[Entry | Trouble]:  # noqa: ARG002  a mark is had for nothing
        """See `Source.listed`."""
        if not await asyncio.to_thread(self.root.is_dir):
            raise StateUnavailable(f"The folder {self.root} is not there.")
        found = walk(self.root, lambda name: excluded(self.section, name))
        while page := await asyncio.to_thread(_page, found):
            for one in page:
                if isinstance(one, Trouble) or wanted(self.section, one.name):
                    yield one

    async def fetch(self, entry: Entry, most: int) -> Fetched | None:
        """See `Source.fetch`."""
        return await asyncio.to_thread(_read, self.root, entry, most)

    async def aclose(self) -> None:
        """Nothing is open."""


def _page(found: Iterator[Entry | Trouble]) -> list[Entry | Trouble]:
    return [one for _, one in zip(range(_PAGE), found, strict=False)]


def walk(
    root: Path, skipped: Callable[[str], bool] = lambda _: False, *, outside: bool = False
) -> Iterator[Entry | Trouble]:
    """Every file under `root` by its path from there, folder by folder in order. Blocking.

    Links to folders are not followed, those to files within `root`; with `outside` those to others as well.
    """
    waiting, real = [""], root.resolve()
    while waiting:
        below = waiting.pop()
        try:
            with os.scandir(root / below) as entries:
                inside = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            yield Trouble(below or ".", f"cannot be read: {error.strerror}")
            continue
        folders = []
        for entry in inside:
            name = f"{below}/{entry.name}" if below else entry.name
            if entry.name.startswith(".") or entry.name.endswith(UNFINISHED) or skipped(name):
                continue
            try:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(name)
                elif entry.is_file() and (outside or _is_within(real, Path(entry.path))):
                    yield Entry(name, mark_of(facts := entry.stat()), size=facts.st_size)
            except FileNotFoundError:
                continue
            except OSError as error:
                yield Trouble(name, f"cannot be read: {error.strerror}")
        if folders and below.count("/") >= MOST_DEPTH:
            yield Trouble(below, f"has folders more than {MOST_DEPTH} deep")
        else:
            waiting += reversed(folders)


def _is_within(root: Path, file: Path) -> bool:
    return not file.is_symlink() or file.resolve().is_relative_to(root)


def mark_of(facts: os.stat_result) -> str:
    """What tells this version of a file from others."""
    return f"{facts.st_mtime_ns}:{facts.st_size}:{facts.st_ino}"


def _read(root: Path, entry: Entry, most: int) -> Fetched | None:
    file, real = (root / entry.name).resolve(), root.resolve()
    if not file.is_relative_to(real):
        return None
    try:
        handle = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    with os.fdopen(handle, "rb") as stream:
        facts = os.fstat(handle)
        if not stat.S_ISREG(facts.st_mode):
            return None
        if facts.st_size > most:
            raise PayloadTooLarge(
                f"has {facts.st_size} bytes; at most {most} are taken (rag.max_document_bytes)."
            )
        data = stream.read(most + 1)
        if mark_of(facts) != mark_of(os.fstat(handle)) or len(data) != facts.st_size:
            raise StateUnavailable("was written while it was read; the next look takes it.")
    return Fetched(data, {"path": str(root / entry.name)})
