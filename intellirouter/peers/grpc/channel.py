"""One connection to a role of another node, over gRPC: trust, deadlines, and what its failures mean."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any, NoReturn
from urllib.parse import urlsplit

import grpc
import grpc.aio
import structlog

from intellirouter.errors import (
    ConfigError,
    PayloadTooLarge,
    PeerUnavailable,
)
from intellirouter.peers.contract import (
    Call,
)
from intellirouter.peers.grpc import wire
from intellirouter.peers.http_chat import router_error
from intellirouter.peers.http_roles import said
from intellirouter.providers.adapter import HttpResponse
from intellirouter.security.peer_certificates import PeerTls, role_name
from intellirouter.security.peer_tokens import PeerSigner
from intellirouter.telemetry.tracing.span import outgoing, step

LOOK_SECONDS = 1.0
"""How often this node's own certificate is looked at."""
_OPTIONS = [
    ("grpc.max_receive_message_length", wire.MAX_BYTES),
    ("grpc.max_send_message_length", -1),  # of a size that somebody took; whoever is asked has a bound
    # a role that is back is used again within a second
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1_000),
    ("grpc.max_reconnect_backoff_ms", 1_000),
]
_MISTRUSTED = "verification check failed"
_ELSEWHERE = "call host does not match"
"""How gRPC tells of a certificate that has not the names it looked for."""
_TOO_LARGE = "larger than max"
_AWAY = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED)


log = structlog.get_logger(__name__)


class Channel:
    """One connection to a role, for all its calls. `endpoint` is a URL, of which host and port count, and https means TLS."""

    def __init__(
        self, role: str, endpoint: str, signer: PeerSigner, timeout: float, peer: PeerTls | None = None
    ) -> None:
        self.role = role
        self.endpoint = endpoint
        self._signer = signer
        self._timeout = timeout
        parts = urlsplit(endpoint)
        if parts.hostname is None or parts.port is None:
            raise ConfigError(
                f"ipc: the endpoint of the {role} needs a host and a port for gRPC: {endpoint}."
            )
        address = (
            f"[{parts.hostname}]:{parts.port}" if ":" in parts.hostname else f"{parts.hostname}:{parts.port}"
        )
        self._address = address
        self._secure = parts.scheme == "https"
        self._peer = peer
        self._stamp = peer.stamp() if peer else ()
        self._looked = time.monotonic()
        self._channel = self._made()
        self._before: Any = None

    def _made(self) -> Any:
        if not self._secure:
            return grpc.aio.insecure_channel(self._address, options=_OPTIONS)
        # gRPC looks for the overriding name when it connects, and for the authority's host with each call
        names = [("grpc.ssl_target_name_override", role_name(self._peer.role))] if self._peer else []
        names += [("grpc.default_authority", self._address)]
        return grpc.aio.secure_channel(self._address, _credentials(self._peer), options=_OPTIONS + names)

    async def _present(self) -> Any:
        """The channel; a new one after this node's certificate changed on disk, the old one ends its calls meanwhile."""
        now = time.monotonic()
        if self._peer is None or now - self._looked < LOOK_SECONDS:
            return self._channel
        self._looked = now
        stamp = self._peer.stamp()
        if stamp != self._stamp:
            try:
                channel = self._made()
            except ConfigError as error:  # half of a change, perhaps: looked at again
                log.warning("tls.certificate_not_taken", problem=error.message)
                return self._channel
            retired, self._before = self._before, self._channel
            self._channel, self._stamp = channel, stamp
            if retired is not None:
                await retired.close()
        return self._channel

    async def ask(self, name: str, body: bytes, call: Call) -> bytes:
        """One document for another. Raises `PeerUnavailable`, or the error the role answered with."""
        with step(self.role, "client", {"rpc.system": "grpc", "rpc.method": name}):
            return await self._ask(name, body, call)

    async def _ask(self, name: str, body: bytes, call: Call) -> bytes:
        rpc = (await self._present()).unary_unary(
            wire.method(self.role, name), request_serializer=wire.encode, response_deserializer=wire.decode
        )
        try:
            answer: bytes = await rpc(body, timeout=self._left(call), metadata=self._metadata(call))
        except grpc.aio.AioRpcError as error:
            self._failed(error)
        return answer

    async def listen(self, name: str, body: bytes, call: Call) -> AsyncIterator[bytes]:
        """The pieces of a stream."""
        under_way = await self.begin(name, body, call)
        try:
            async for data in self.pieces(under_way):
                yield data
        finally:
            under_way.cancel()

    async def begin(self, name: str, body: bytes, call: Call) -> Any:
        """A stream under way, of which `pieces` are read and which whoever began it cancels."""
        rpc = (await self._present()).unary_stream(
            wire.method(self.role, name), request_serializer=wire.encode, response_deserializer=wire.decode
        )
        return rpc(body, timeout=self._left(call), metadata=self._metadata(call))

    async def pieces(self, under_way: Any) -> AsyncIterator[bytes]:
        """What comes of it. Raises `PeerUnavailable`, or the error the role answered with."""
        try:
            async for data in under_way:
                yield data
        except grpc.aio.AioRpcError as error:
            self._failed(error)

    async def aclose(self) -> None:
        """Cut it."""
        for channel in (self._before, self._channel):
            if channel is not None:
                await channel.close()

    def _left(self, call: Call) -> float:
        left = (
            self._timeout if call.deadline is None else min(self._timeout, call.deadline - time.monotonic())
        )
        if left <= 0:
            raise PeerUnavailable(f"the call's deadline passed before the {self.role} was asked")
        return left

    def _metadata(self, call: Call) -> tuple[tuple[str, str], ...]:
        pairs = {wire.REQUEST_ID: call.request_id, **self._signer.headers(self.role, call.caller)}
        if context := outgoing(call.traceparent):
            pairs[wire.TRACEPARENT] = context
        if call.idempotency_key:
            pairs[wire.IDEMPOTENCY] = call.idempotency_key
        return tuple(pairs.items())

    def _failed(self, error: grpc.aio.AioRpcError) -> NoReturn:
        trailing = dict(error.trailing_metadata() or ())
        envelope, status = trailing.get(wire.ERROR_KEY), str(trailing.get(wire.STATUS_KEY, ""))
        if isinstance(envelope, bytes) and status.isdigit():
            wait = trailing.get(wire.RETRY_AFTER)
            raise self.error(int(status), envelope, wait if isinstance(wait, str) else None) from error
        if _MISTRUSTED in (error.details() or "") or _ELSEWHERE in (error.details() or ""):
            raise PeerUnavailable(
                f"the {self.role} at {self.endpoint} has no certificate that names this role and this host"
            ) from error
        if error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED and _TOO_LARGE in (error.details() or ""):
            raise PayloadTooLarge(
                f"The {self.role} takes no request of this size (server.max_body_bytes there)."
            ) from error
        if error.code() in _AWAY:
            raise PeerUnavailable(
                f"the {self.role} at {self.endpoint} does not answer ({error.code().name})"
            ) from error
        raise PeerUnavailable(
            f"the {self.role} at {self.endpoint} refused the call ({error.code().name})"
        ) from error

    def error(self, status: int, envelope: bytes, retry_after: str | None = None) -> Exception:
        """The role's own error as ours; of the Router the provider's, as over HTTP."""
        if self.role == "Router":
            headers = {"retry-after": retry_after} if retry_after else {}
            return router_error(HttpResponse(status, headers, envelope))
        return said(status, envelope, self.role, retry_after)


def _credentials(peer: PeerTls | None) -> Any:
    if peer is None:
        return grpc.ssl_channel_credentials()
    try:
        files = (peer.ca.read_bytes(), peer.key.read_bytes(), peer.certificate.read_bytes())
    except OSError as cause:
        raise ConfigError(f"ipc.security: {cause.filename} cannot be read ({cause.strerror}).") from cause
    return grpc.ssl_channel_credentials(*files)
