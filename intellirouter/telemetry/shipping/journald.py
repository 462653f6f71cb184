"""Lines as entries of systemd's journal, by its native protocol: one datagram an entry, and what is too large in a sealed file of memory.

Source: systemd, "Native Journal Protocol"; names of fields: systemd.journal-fields(7). Fields of ours begin with `IR_`.
"""

from __future__ import annotations

import array
import asyncio
import contextlib
import errno
import fcntl
import os
import re
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path

from intellirouter.telemetry.shipping.entry import Entry, told
from intellirouter.telemetry.shipping.outlet import Away

SECONDS = 5.0
PRIORITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}
"""As syslog's severities (RFC 5424, 6.2.1)."""
_DAEMON = 3
_MAX_NAME = 64
_NOT_A_NAME = re.compile(r"[^A-Z0-9_]+")
_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL


class Journald:
    """A `Sender` to the socket of a journal."""

    def __init__(self, path: Path, identifier: str) -> None:
        self._path = str(path)
        self._identifier = identifier
        self._socket: socket.socket | None = None

    async def send(self, batch: Sequence[Entry]) -> None:
        """See `Sender`."""
        done = 0
        try:
            async with asyncio.timeout(SECONDS):
                for entry in batch:
                    await self._one(b"".join(fields_of(entry, self._identifier)))
                    done += 1
        except TimeoutError:
            await self.aclose()
            raise Away(f"{self._path} took nothing for {SECONDS:g} s", done=done) from None
        except OSError as error:
            await self.aclose()
            raise Away(f"{self._path}: {error.strerror}", done=done) from error

    async def aclose(self) -> None:
        """See `Sender`."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    async def _one(self, datagram: bytes) -> None:
        if self._socket is None:
            fresh = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            fresh.setblocking(False)
            try:
                fresh.connect(self._path)
            except OSError:
                fresh.close()
                raise
            self._socket = fresh
        pause = 0.002
        while True:
            try:
                self._socket.send(datagram)
            except BlockingIOError:
                pass
            except OSError as error:
                if error.errno not in {errno.EMSGSIZE, errno.ENOBUFS}:
                    raise
                if self._by_file(datagram):
                    return
            else:
                return
            await asyncio.sleep(
                pause
            )  # a datagram socket of the loop would wait for a peer that never reads, too
            pause = min(pause * 2, 0.1)

    def _by_file(self, datagram: bytes) -> bool:
        """Hand over a sealed file with the entry in it; False when the journal cannot take it now."""
        if self._socket is None:
            return False
        descriptor = os.memfd_create("intellirouter-log", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            with open(descriptor, "wb", closefd=False) as file:
                file.write(datagram)
            fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _SEALS)
            with contextlib.suppress(BlockingIOError):
                self._socket.sendmsg(
                    [], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [descriptor]))]
                )
                return True
            return False
        finally:
            os.close(descriptor)


def fields_of(entry: Entry, identifier: str) -> Iterator[bytes]:
    """The fields of an entry, each as the protocol has it."""
    yield field("MESSAGE", told(entry))
    yield field("PRIORITY", str(PRIORITIES.get(entry.level, 6)))
    yield field("SYSLOG_IDENTIFIER", identifier)
    yield field("SYSLOG_FACILITY", str(_DAEMON))
    yield field("SYSLOG_PID", str(os.getpid()))
    about = {
        "event": entry.event,
        "logger": entry.logger,
        "role": entry.role,
        "trace_id": entry.trace,
        "span_id": entry.span,
    }
    for name, value in about.items():
        if value:
            yield field(f"IR_{name.upper()}", value)
    seen = {name.upper() for name in about}
    for name, given in entry.fields.items():
        known = name_of(name)
        if known and known not in seen:
            seen.add(known)
            yield field(f"IR_{known}"[:_MAX_NAME], str(given))


def name_of(name: str) -> str:
    """What a field may be called: capitals, digits and underscores; empty for a name with none of them."""
    return _NOT_A_NAME.sub("_", name.upper()).strip("_")


def field(name: str, value: str) -> bytes:
    """`NAME=value`, or the form with a length for what holds a line feed."""
    data = value.encode()
    if b"\n" in data:
        return name.encode() + b"\n" + len(data).to_bytes(8, "little") + data + b"\n"
    return name.encode() + b"=" + data + b"\n"
