"""What a transport promises, whichever client is underneath."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from intellirouter.providers.adapter import HttpRequest


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long each phase may take, in seconds.

    `connect`: name lookup, TCP and TLS. `first_byte`: from the request's last byte to the response's status line.
    `idle`: between two reads of the body. `total`: the whole exchange, body included.
    """

    connect: float = 5.0
    first_byte: float = 60.0
    idle: float = 60.0
    total: float = 600.0


class Reply(Protocol):
    """A response whose status and headers have arrived. `idle` bounds each of the next reads; at first it is the deadlines'."""

    idle: float

    @property
    def status(self) -> int:
        """The HTTP status."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Lower-case names; repeated fields joined with a comma."""

    def chunks(self) -> AsyncIterator[bytes]:
        """The body as it arrives, content coding undone, back-pressure kept. Ends only at a complete body.

        Raises `UpstreamTimeout` (`idle`, `total`), `UpstreamUnavailable` (reset, early close) or
        `UpstreamProtocolError` (bad framing or coding).
        """

    async def read(self, limit: int) -> bytes:
        """The whole body. Raises like `chunks`, and `UpstreamProtocolError` past `limit` bytes."""

    def close(self) -> None:
        """Let go. A connection whose body was read to its end returns to the pool, any other is cut. Idempotent."""


class Transport(Protocol):
    """Sends requests over pooled connections."""

    async def send(
        self, request: HttpRequest, deadlines: Deadlines, on_sent: Callable[[], None] | None = None
    ) -> Reply:
        """Send, and wait for status and headers. The caller must `close()` the reply.

        `on_sent` is called each time the request goes out on a connection: from then on the other side may have it.

        Raises `UpstreamTimeout` (`connect`, `first_byte`, `total`), `UpstreamUnavailable` (refused, reset, no such
        host, TLS) or `UpstreamProtocolError`. A cancelled call cuts its connection. A request that failed on a
        reused connection before any byte of a response is sent once more on a new one.
        """

    async def aclose(self) -> None:
        """Cut every connection."""
