"""One socket: sends a request, parses the response, watches the time.

idle ──send──► awaiting ──headers──► body ──last byte──► idle (its pool), or cut
                  └────── error, deadline, garbage ──────────► cut
"""

from __future__ import annotations

import asyncio
import math
import re
import time
from itertools import chain
from typing import Protocol, cast

import httptools

from intellirouter.errors import UpstreamError, UpstreamProtocolError, UpstreamTimeout, UpstreamUnavailable
from intellirouter.transport.contract import Deadlines
from intellirouter.transport.fast.reply import FastReply
from intellirouter.transport.outbox import Outbox

MAX_HEAD_BYTES = 64 * 1024
"""Of one response: status line and headers, those of interim responses and trailers included."""

_JOINED_WRITE_BYTES = 32 * 1024  # below it one copy is cheaper than a second buffer
_TIMER_SLACK = 0.001
_monotonic = time.monotonic
_KEYS: dict[bytes, str] = {}
_MAX_KEYS = 1024
_keep_alive_timeout = re.compile(r"\btimeout=(\d{1,6})\b").search


class StaleConnection(Exception):
    """A kept connection had been closed by the other side before it took the request."""


class Owner(Protocol):
    """The pool a connection belongs to."""

    def release(self, connection: Connection) -> None:
        """The response is complete and the connection can serve again."""

    def gone(self, connection: Connection) -> None:
        """The connection is closed."""


class Connection(asyncio.Protocol):
    """See the module. `served` counts complete exchanges."""

    def __init__(self, owner: Owner, keep_idle: float, outbox: Outbox) -> None:
        self._loop = asyncio.get_running_loop()
        self._owner = owner
        self._outbox = outbox
        self._keep_idle = keep_idle
        self._parser = httptools.HttpResponseParser(self)
        # As aiohttp's parser: real servers end lines with a bare LF, pad chunk sizes and put odd bytes in values.
        self._parser.set_dangerous_leniencies(
            lenient_headers=True, lenient_optional_cr_before_lf=True, lenient_spaces_after_chunk_size=True
        )
        self.transport: asyncio.Transport = cast("asyncio.Transport", None)
        self.served = 0
        self.closed = False
        # The exchange under way.
        self._awaited: asyncio.Future[FastReply] | None = None
        self._reply: FastReply | None = None
        self._deadlines = Deadlines()
        self._until = math.inf
        self._bodyless = False
        self._unwritten = False  # the request waits for the end of the loop's turn
        # The response under way.
        self._raw: list[tuple[bytes, bytes]] = []
        self._headers: dict[str, str] = {}
        self._seen = False  # any byte of a response
        self._interim = False
        self._ended = False
        self._until_close = False
        self._reusable = False
        self._head_size = 0
        self._fed = False  # the bytes at hand held some of the body
        self._barren = 0  # bytes since the last that did
        # Flow and time.
        self._paused = False
        self._unsent = 0
        self._expires = math.inf
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = math.inf

    # Sending.

    def send(
        self, head: bytes, body: bytes, deadlines: Deadlines, until: float, *, bodyless: bool
    ) -> asyncio.Future[FastReply]:
        """Start an exchange; the future is done when status and headers are in. `bodyless`: the answer to a HEAD."""
        self._deadlines = deadlines
        self._until = until
        self._bodyless = bodyless
        self._raw = []
        self._seen = self._interim = self._ended = self._until_close = self._fed = False
        self._head_size = self._barren = 0
        self._awaited = awaited = self._loop.create_future()
        self.arm(min(_monotonic() + deadlines.first_byte, until))
        if len(body) <= _JOINED_WRITE_BYTES:
            self._unwritten = self._outbox.put(self, head + body)
        else:
            self.transport.write(head)
            self.transport.write(body)
        return awaited

    def write(self, data: bytes) -> None:
        """See `Writable`: the request goes out."""
        self._unwritten = False
        self.transport.write(data)

    def is_closing(self) -> bool:
        """See `Writable`."""
        return self.closed

    def pause_writing(self) -> None:
        """The other side takes our request slowly."""
        self._unsent = self.transport.get_write_buffer_size()

    def resume_writing(self) -> None:
        """The last of the request is on its way: the wait for the first byte begins now."""
        self._unsent = 0
        if self._awaited is not None:
            self.arm(min(_monotonic() + self._deadlines.first_byte, self._until))

    # Receiving.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is open, TLS included."""
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Parse, then tell the reader once."""
        if self._unwritten or (self._awaited is None and self._reply is None):
            self.cut()  # nobody asked: whatever this is must not become the answer to the next request
            return
        self._seen = True
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as cause:
            self._reusable = False
            if not self._ended:
                self._fail(_refused(cause))
                return
        if self._ended:
            self._complete()
            return
        reply = self._reply
        if reply is None:
            self._head_size += len(data)
            if self._head_size > MAX_HEAD_BYTES:
                self._fail(UpstreamProtocolError("the provider's response headers are too large"))
            return
        self._barren = 0 if self._fed else self._barren + len(data)
        self._fed = False
        if self._barren > MAX_HEAD_BYTES:
            self._fail(UpstreamProtocolError("the provider's response has endless framing without a body"))
            return
        if reply.over_high_water and not self._paused:
            self._paused = True
            self.transport.pause_reading()
        reply.wake()

    def on_message_begin(self) -> None:
        """A second response in one answer: the other side and we have lost step."""
        if self._ended:
            self._reusable = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header; trailers, and what follows the end, are dropped."""
        if self._reply is None:
            self._raw.append((name, value))  # read when all are there: this is called for each
        else:
            self._measure(len(name) + len(value))

    def _measure(self, size: int) -> None:
        self._head_size += size
        if self._head_size > MAX_HEAD_BYTES:
            raise UpstreamProtocolError("the provider's response headers are too large")

    def _read_headers(self) -> dict[str, str]:
        raw, self._raw = self._raw, []
        whole = b"".join(chain.from_iterable(raw))
        self._measure(len(whole))
        if b"\0" in whole:
            raise UpstreamProtocolError("the provider's response headers hold a null byte")
        headers = {_KEYS.get(name) or _key(name): value.decode("latin-1") for name, value in raw}
        if len(headers) < len(raw):  # repeated ones are one list
            headers = {}
            for name, value in raw:
                key, text = _key(name), value.decode("latin-1")
                headers[key] = f"{headers[key]}, {text}" if key in headers else text
        self._headers = headers
        return headers

    def on_headers_complete(self) -> None:
        """Hand the reply over, unless this was an interim response."""
        if self._reply is not None:
            return
        headers = self._read_headers()
        status = self._parser.get_status_code()
        if status < 200:
            self._interim = True
            return
        chunked = False
        if coding := headers.get("transfer-encoding"):
            if coding.strip().lower() not in ("chunked", "identity"):
                raise UpstreamProtocolError(
                    "the provider's answer has a transfer coding that was not asked for"
                )
            chunked = coding.strip().lower() == "chunked"
        self._reusable = self._parser.should_keep_alive()
        if self._bodyless or status in (204, 304):
            # The parser cannot be told that a length is no promise here; it may now be out of step.
            self._ended = True
            self._reusable = (
                self._reusable and not self._bodyless and not chunked and "content-length" not in headers
            )
        else:
            self._until_close = not chunked and "content-length" not in headers
        self._head_size = 0
        self._reply = FastReply(self, status, headers, self._deadlines, self._until)
        awaited, self._awaited = self._awaited, None
        if awaited is not None and not awaited.done():
            awaited.set_result(self._reply)

    def on_body(self, data: bytes) -> None:
        """More of the body."""
        if not self._ended and self._reply is not None:
            self._fed = True
            self._reply.add(data)

    def on_message_complete(self) -> None:
        """The last byte of the response, or of an interim one."""
        if self._interim:
            self._interim = False
        else:
            self._ended = True

    def eof_received(self) -> None:
        """The other side will send no more; the transport closes itself."""
        self._lost(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is closed."""
        self._lost(exc)
        self.closed = True
        self._paused = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._owner.gone(self)

    # Ends.

    def _complete(self) -> None:
        reply, self._reply = self._reply, None
        if reply is None:
            return
        self.served += 1
        usable = self._reusable and not self.closed and not self.transport.get_write_buffer_size()
        if usable:
            self.resume()
            keep = self._keep_idle
            if (given := self._headers.get("keep-alive")) and (found := _keep_alive_timeout(given)):
                keep = min(keep, max(0.0, int(found[1]) - 1.0))
            self.arm(_monotonic() + keep)
            reply.complete()
            self._owner.release(self)
        else:
            reply.complete()
            self.cut()

    def _lost(self, exc: Exception | None) -> None:
        if self._reply is not None and self._until_close and exc is None and not self._interim:
            self._reusable = False
            self._complete()
        elif self._reply is not None:
            self._fail(UpstreamUnavailable("the connection broke before the answer was complete"))
        elif self._awaited is not None:
            if not self._seen and self.served:
                self._fail(StaleConnection())
            elif exc is None:
                self._fail(UpstreamUnavailable("the provider closed the connection without an answer"))
            else:
                self._fail(UpstreamUnavailable("the connection to the provider failed"))

    def _fail(self, error: UpstreamError | StaleConnection) -> None:
        awaited, self._awaited = self._awaited, None
        reply, self._reply = self._reply, None
        if awaited is not None and not awaited.done():
            awaited.set_exception(error)
        if reply is not None and isinstance(error, UpstreamError):
            reply.fail(error)
        self.cut()

    def resume(self) -> None:
        """The reader has caught up."""
        if self._paused:
            self._paused = False
            if not self.closed:
                self.transport.resume_reading()

    def cut(self) -> None:
        """Close now; an exchange under way fails."""
        if not self.closed:
            self.closed = True
            self.transport.abort()
            self._lost(ConnectionAbortedError())

    # Time.

    def arm(self, when: float) -> None:
        """Call off what is under way at `when`. A timer that fires too early moves itself on: most never fire."""
        self._expires = when
        if when < self._timer_at:
            self._set_timer()

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = self._expires
        delay = max(self._expires - _monotonic(), 0.0)
        self._timer = self._loop.call_later(delay, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self._timer_at = math.inf
        now = _monotonic()
        if self._expires > now + _TIMER_SLACK:
            self._set_timer()
        elif now + _TIMER_SLACK >= self._until and (self._awaited is not None or self._reply is not None):
            self._fail(UpstreamTimeout("the provider's answer was not complete in time", phase="total"))
        elif self._awaited is not None:
            self._no_answer(now)
        elif self._reply is None:
            self.cut()  # idle for long enough
        elif self._reply.waiting:
            limit = self._reply.idle
            self._fail(UpstreamTimeout(f"the provider sent nothing for {limit:.3g} s", phase="idle"))
        else:
            self.arm(self._until)  # the reader is busy with what it has; only the total counts

    def _no_answer(self, now: float) -> None:
        limit = self._deadlines.first_byte
        if self._unsent:
            left = self.transport.get_write_buffer_size()
            if left < self._unsent:  # a long request that is still being taken
                self._unsent = left
                self.arm(min(now + limit, self._until))
                return
        self._fail(UpstreamTimeout(f"no response within {limit:g} s", phase="first_byte"))


def _key(name: bytes) -> str:
    """A header's name as it is looked up. Providers use few names, so they are kept; whoever invents many fills no memory."""
    key = name.decode("latin-1").lower()
    if len(_KEYS) < _MAX_KEYS:
        _KEYS[name] = key
    return key


def _refused(cause: Exception) -> UpstreamProtocolError:
    """Our own refusal, raised inside a callback, or what the parser says."""
    if isinstance(cause.__context__, UpstreamProtocolError):
        return cause.__context__
    return UpstreamProtocolError("the provider's response is not HTTP")
