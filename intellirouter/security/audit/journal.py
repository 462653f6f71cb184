"""The journal of one node: files that are only added to, one a day and more where a day is long.

Every process of a data directory appends here, commands at the terminal too: each under the lock, from the end as it is found. What was
written is on the disk before `append` returns. A line that a crash cut short was never told of as written, and is taken away;
what a disk has no room for is taken away whole.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from intellirouter.errors import IntelliRouterError
from intellirouter.security.audit.chain import FIRST, Head, Signer, read
from intellirouter.security.audit.entry import Entry, now

FOLDER = "audit"
MAX_FILE_BYTES = 64 * 1024 * 1024
_TAIL = 65_536


class AuditUnavailable(IntelliRouterError):
    """An audit record could not be written."""

    code = "audit_unavailable"
    status = 503
    retryable = True


class Journal:
    """Appends to the files in `directory`. `retention_days` after the last record of a file it is removed."""

    def __init__(self, directory: Path, key: bytes | None, retention_days: float = 365) -> None:
        self.directory = directory
        self._key = key
        self._retention = retention_days * 86_400
        self._thread = threading.Lock()
        self._known: tuple[str, int, Head] | None = None
        self.node = ""
        self.signer: Signer

    def open(self) -> Journal:
        """Make what is missing: the directory, the node's name, a key where none is configured. Raises `AuditUnavailable`."""
        with _told(self.directory):
            self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.node = _once(self.directory / "node", f"{socket.gethostname()[:64]}-{secrets.token_hex(3)}")
            key = self._key or bytes.fromhex(_once(self.directory / "key", secrets.token_hex(32)))
            self.signer = Signer(key)
            with self._locked():  # from the first record on something says where the journal ends
                if not (self.directory / "head").exists() and not files_of(self.directory):
                    head = Head(0, FIRST).signed(self.signer, self.node)
                    _overwrite(self.directory / "head", msgspec.json.encode(head))
        return self

    def append(self, entries: Sequence[Entry]) -> None:
        """Write the entries as the next records, all of them or none. Raises `AuditUnavailable`."""
        with _told(self.directory), self._thread, self._locked():
            file, head = self._end()
            day = time.strftime("%Y-%m-%d", time.gmtime())
            if file is not None and file.name[:10] < day:
                sealed = Entry(
                    at=now(),
                    kind="system",
                    outcome="ok",
                    action="seal",
                    on=file.name[:10],
                    note=f"last {head.n}",
                )
                head = self._write(file, [sealed], head)
                file, head = None, self._pruned(head)
            if file is None:
                file = self.directory / f"{day}.0000.jsonl"
            elif file.stat().st_size >= MAX_FILE_BYTES:
                file = self.directory / f"{file.name[:10]}.{int(file.name[11:15]) + 1:04d}.jsonl"
            self._write(file, entries, head)

    def head(self) -> Head:
        """Where the journal ends. Raises `AuditUnavailable`."""
        with _told(self.directory), self._thread, self._locked():
            return self._end()[1]

    def _write(self, file: Path, entries: Sequence[Entry], head: Head) -> Head:
        lines, n, mac = [], head.n, head.mac
        for entry in entries:
            n += 1
            line, mac = self.signer.line(entry, n=n, node=self.node, prev=mac)
            lines.append(line)
        new = Head(n, mac, head.pruned).signed(self.signer, self.node)
        self._known = None
        self._known = (file.name, _added(file, b"".join(lines)), new)
        with contextlib.suppress(OSError):  # one that lags behind hides nothing: the lines prove themselves
            _overwrite(self.directory / "head", msgspec.json.encode(new))
        return new

    def _end(self) -> tuple[Path | None, Head]:
        """The newest file and where the journal ends: at its last line, or where the head says that it did."""
        files = files_of(self.directory)
        file = files[-1] if files else None
        if (
            file is not None
            and self._known is not None
            and self._known[:2] == (file.name, file.stat().st_size)
        ):
            return file, self._known[2]
        said = read_head(self.directory)
        head = said if said is not None and said.holds(self.signer, self.node) else Head(0, FIRST)
        last = _last_line(file) if file is not None else b""
        record = read(last) if last else None
        if record is not None and record.n > head.n:
            head = Head(record.n, record.mac, head.pruned)
        return file, head

    def _pruned(self, head: Head) -> Head:
        """Without the files that are too old, which a record says before they go."""
        oldest = time.strftime("%Y-%m-%d", time.gmtime(time.time() - self._retention))
        gone = [file for file in files_of(self.directory) if file.name[:10] < oldest]
        last = read(_last_line(gone[-1])) if gone else None
        if last is None:
            return head
        entry = Entry(
            at=now(),
            kind="system",
            outcome="ok",
            action="prune",
            on=gone[-1].name[:10],
            note=f"through {last.n}",
        )
        head = self._write(files_of(self.directory)[-1], [entry], Head(head.n, head.mac, last.n))
        for file in gone:
            file.unlink()
        return head

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        lock = os.open(self.directory / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)


def files_of(directory: Path) -> list[Path]:
    """The files of a journal, the oldest first."""
    return sorted(directory.glob("[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9].[0-9][0-9][0-9][0-9].jsonl"))


def read_head(directory: Path) -> Head | None:
    """What the head says; None where there is none that can be read."""
    try:
        return msgspec.json.decode((directory / "head").read_bytes(), type=Head)
    except (OSError, msgspec.MsgspecError):
        return None


@contextlib.contextmanager
def _told(directory: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as cause:
        reason = getattr(cause, "strerror", None) or "what lies there is not an audit journal"
        raise AuditUnavailable(f"The audit record cannot be written: {directory} ({reason}).") from cause


def _once(file: Path, value: str) -> str:
    """What the file says; `value`, written to it, where there is none yet. Whole, or not at all."""
    with contextlib.suppress(FileNotFoundError):
        return file.read_text(encoding="ascii").strip()
    part = file.with_name(f".{file.name}.{os.getpid()}")
    part.touch(mode=0o600)
    part.write_text(f"{value}\n", encoding="ascii")
    try:
        os.link(part, file)
    except FileExistsError:  # another process was quicker
        pass
    finally:
        part.unlink()
    return file.read_text(encoding="ascii").strip()


def _added(file: Path, data: bytes) -> int:
    """Add to the end of the file, durably; how long it is now. What is not whole is taken away."""
    handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        size = _whole(handle)
        try:
            left = memoryview(data)
            while left:
                left = left[os.write(handle, left) :]
            os.fdatasync(handle)
        except OSError:
            os.ftruncate(handle, size)
            raise
        return size + len(data)
    finally:
        os.close(handle)


def _whole(handle: int) -> int:
    """Cut off the end of a line that a crash left; how long the file is."""
    size = os.fstat(handle).st_size
    tail = os.pread(handle, _TAIL, max(0, size - _TAIL))
    if tail and not tail.endswith(b"\n"):
        size -= len(tail) - (tail.rfind(b"\n") + 1)
        os.ftruncate(handle, size)
    return size


def _overwrite(file: Path, data: bytes) -> None:
    """In place, so that a full disk does not hinder it; a longer one before leaves nothing behind."""
    handle = os.open(file, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        os.pwrite(handle, data.ljust(200) + b"\n", 0)
    finally:
        os.close(handle)


def _last_line(file: Path) -> bytes:
    with file.open("rb") as handle:
        size = handle.seek(0, os.SEEK_END)
        handle.seek(max(0, size - _TAIL))
        lines = handle.read().split(b"\n")
    whole = [line for line in lines[:-1] if line]  # after the last end of a line stands nothing, or a part
    return whole[-1] if whole else b""
