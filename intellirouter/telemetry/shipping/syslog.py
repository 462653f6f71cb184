"""Lines to a syslog server: a local socket, UDP (RFC 5426), TCP with counted octets (RFC 6587, 3.4.1), TLS (RFC 5425).

TCP and TLS have no answer: what was in flight when a connection broke may be lost or come twice. A connection that the server closed is
noticed before the next message; one that takes nothing is given up after `SECONDS`.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import ssl
from collections.abc import Sequence
from typing import Protocol
from urllib.parse import urlsplit

from intellirouter.config.schema.log_outlets import SYSLOG_PORTS
from intellirouter.telemetry.shipping.entry import Entry
from intellirouter.telemetry.shipping.outlet import Away
from intellirouter.telemetry.shipping.syslog_form import Sender as Form
from intellirouter.telemetry.shipping.syslog_form import message

SECONDS = 5.0
MAX_UDP = 65_507


class Line(Protocol):
    """A way to a server. `sure`: a message that was put is at the server, or in the socket of the machine."""

    sure: bool

    async def put(self, data: bytes) -> None:
        """One message. Raises `OSError`."""

    async def settled(self) -> None:
        """When what was put has left, as far as can be known. Raises `OSError`."""

    def close(self) -> None:
        """Let go of it."""


class Syslog:
    """A `Sender` to an address: `unix:/dev/log`, `udp://host:514`, `tcp://host:601`, `tls://host:6514`."""

    def __init__(self, address: str, form: Form, secure: ssl.SSLContext | None) -> None:
        self._address = address
        self._form = form
        self._ssl = secure
        self._line: Line | None = None

    async def send(self, batch: Sequence[Entry]) -> None:
        """See `Sender`."""
        done = 0
        try:
            async with asyncio.timeout(SECONDS):
                if self._line is None:
                    self._line = await self._open()
                line = self._line
                for entry in batch:
                    await line.put(message(entry, self._form))
                    done += line.sure
                await line.settled()
        except TimeoutError:
            await self.aclose()
            raise Away(f"nothing was taken for {SECONDS:g} s", done=done) from None
        except ssl.SSLError as error:
            await self.aclose()
            raise Away(f"TLS: {getattr(error, 'verify_message', '') or error.reason}", done=done) from error
        except OSError as error:
            await self.aclose()
            raise Away(error.strerror or type(error).__name__, done=done) from error

    async def aclose(self) -> None:
        """See `Sender`."""
        if self._line is not None:
            self._line.close()
            self._line = None

    async def _open(self) -> Line:
        if self._address.startswith("unix:"):
            return _local(self._address.removeprefix("unix:"))
        url = urlsplit(self._address)
        host, port = url.hostname or "", url.port or SYSLOG_PORTS[url.scheme]
        if url.scheme == "udp":
            loop = asyncio.get_running_loop()
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
            return _Datagrams(found[0][0], found[0][4])
        secure = self._ssl if url.scheme == "tls" else None
        reader, writer = await asyncio.open_connection(
            host, port, ssl=secure, server_hostname=host if secure else None, limit=4096
        )
        return _Stream(reader, writer)


def _local(path: str) -> Line:
    """/dev/log is a datagram socket with most, a stream with some."""
    try:
        return _Datagrams(socket.AF_UNIX, path)
    except OSError as error:
        if error.errno != errno.EPROTOTYPE:
            raise
    return _LocalStream(path)


class _Datagrams:
    sure = True

    def __init__(self, family: int, address: object) -> None:
        self._socket = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._socket.setblocking(False)
        self._most = MAX_UDP
        try:
            self._socket.connect(address)  # type: ignore[arg-type]  # what getaddrinfo gives, or a path
        except OSError:
            self._socket.close()
            raise

    async def put(self, data: bytes) -> None:
        pause = 0.002
        data = data[: self._most]
        while True:
            try:
                self._socket.send(data)
            except (BlockingIOError, InterruptedError):
                await asyncio.sleep(pause)
                pause = min(pause * 2, 0.1)
            except OSError as error:
                if error.errno == errno.ENOBUFS:
                    await asyncio.sleep(pause)
                    pause = min(pause * 2, 0.1)
                    continue
                if error.errno != errno.EMSGSIZE or len(data) < 1024:
                    raise
                self._most = len(data) // 2
                data = data[: self._most].decode("utf-8", "ignore").encode()
            else:
                return

    async def settled(self) -> None:
        return

    def close(self) -> None:
        self._socket.close()


class _LocalStream:
    """Messages that end with a zero byte, as syslog(3) sends them to a stream."""

    sure = False

    def __init__(self, path: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        self._socket.setblocking(False)
        try:
            self._socket.connect(path)
        except OSError:
            self._socket.close()
            raise

    async def put(self, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self._socket, data.replace(b"\0", b"") + b"\0")

    async def settled(self) -> None:
        return

    def close(self) -> None:
        self._socket.close()


class _Stream:
    sure = False

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def put(self, data: bytes) -> None:
        if self._reader.at_eof() or self._writer.is_closing():
            raise ConnectionResetError(errno.ECONNRESET, "the server closed the connection")
        self._writer.write(b"%d %s" % (len(data), data))
        await self._writer.drain()

    async def settled(self) -> None:
        """What is still in the buffer of this side goes; a server that reads nothing is one that is away."""
        transport = self._writer.transport
        while transport.get_write_buffer_size():
            if self._writer.is_closing():
                raise ConnectionResetError(errno.ECONNRESET, "the server closed the connection")
            await asyncio.sleep(0.01)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            if self._writer.transport.get_write_buffer_size():
                self._writer.transport.abort()
            else:
                self._writer.close()
