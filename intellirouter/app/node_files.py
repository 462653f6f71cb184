"""What runs on a data directory, for commands at the terminal: `nodes/PID.json` in it, one a process, gone when it ends well.

It says where each role listens, and how the last reload went.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
import structlog

log = structlog.get_logger(__name__)

FOLDER = "nodes"


class Verdict(msgspec.Struct, frozen=True):
    """How a reload went. `number` counts the reloads of the process; `needs_restart` names keys that were not taken over."""

    number: int = 0
    accepted: bool = True
    message: str = ""
    needs_restart: list[str] = []


class NodeFile(msgspec.Struct, frozen=True):
    """One process. `signalled` is who takes its signals: itself, or the parent of several workers."""

    pid: int
    began: int
    signalled: int
    roles: dict[str, str] = {}
    reload: Verdict = Verdict()


@contextlib.contextmanager
def announced(data_dir: Path, roles: dict[str, str], signalled: int) -> Iterator[Announced]:
    """Say that this process serves, while the context is open."""
    folder = data_dir / FOLDER
    pid = os.getpid()
    announced = Announced(folder / f"{pid}.json", NodeFile(pid, _began(pid) or 0, signalled, roles))
    announced.write()
    try:
        yield announced
    finally:
        announced.file.unlink(missing_ok=True)


class Announced:
    """The file of this process."""

    def __init__(self, file: Path, node: NodeFile) -> None:
        self.file = file
        self.node = node

    def tell(self, verdict: Verdict) -> None:
        """How a reload went."""
        self.node = msgspec.structs.replace(self.node, reload=verdict)
        self.write()

    def write(self) -> None:
        """Whole, or not at all. A disk that is full is no reason not to serve."""
        part = self.file.with_suffix(".part")
        try:
            self.file.parent.mkdir(mode=0o700, exist_ok=True)
            part.touch(mode=0o600)
            part.write_bytes(msgspec.json.encode(self.node))
            part.replace(self.file)
        except OSError as error:
            log.warning("node.file_not_written", file=str(self.file), reason=error.strerror)


def running(data_dir: Path) -> list[NodeFile]:
    """The processes that serve from a data directory."""
    found = []
    for file in sorted((data_dir / FOLDER).glob("*.json")):
        try:
            node = msgspec.json.decode(file.read_bytes(), type=NodeFile)
        except (OSError, msgspec.MsgspecError):  # it has just ended, or is no file of ours
            continue
        if alive(node):
            found.append(node)
    return found


def alive(node: NodeFile) -> bool:
    """True while the process runs, and not another that has its number now."""
    began = _began(node.pid)
    return began is not None and (node.began in (began, 0))


def _began(pid: int) -> int | None:
    """When a process began, in ticks since the machine did (proc(5), field 22); 0 where nobody says, None where there is none."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        pass
    else:
        return None if words[0] == "Z" else int(words[19])
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        return 0
    return 0
