"""Between a role and another node's: a circuit, and a second try where that is safe.

A peer that fails `OPENS_AFTER` times in a row is not asked for a while, for longer each time; then one call finds out whether it is
back. What only reads is tried a second time, anything else only when no connection was made, so that nothing was asked yet.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, TypeVar

import structlog

from intellirouter.chat.delta import StreamEvent
from intellirouter.chat.embedding import EmbeddingRequest, EmbeddingResponse
from intellirouter.chat.model import ChatRequest
from intellirouter.chat.response import ChatResponse
from intellirouter.errors import PeerUnavailable, UpstreamTimeout, UpstreamUnreachable
from intellirouter.peers.contract import (
    Call,
    ChainRunner,
    ChatCompleter,
    Judgement,
    PersonaResolver,
    ResolvedPersona,
    RetrievalRequest,
    Retrieved,
    Retriever,
    RunResult,
)
from intellirouter.security.caller import Caller, Owner

OPENS_AFTER = 5
REST_SECONDS, LONGEST_REST = 0.5, 5.0
PAUSE_SECONDS = (0.02, 0.1)
"""Before a second try, drawn between these."""
SLACK = 0.01
"""Seconds before its deadline in which a call that failed is taken to have failed by it."""
T = TypeVar("T")
log = structlog.get_logger(__name__)


class PeerCircuit:
    """How one peer has answered lately. `clock` gives seconds that never go back."""

    def __init__(self, role: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._role = role
        self._clock = clock
        self._failures = 0
        self._rest = REST_SECONDS
        self._rests_until = 0.0
        self._trying = False

    def enter(self) -> None:
        """A call begins. Raises `PeerUnavailable` while the peer rests, or another call finds out whether it is back."""
        if self._failures < OPENS_AFTER:
            return
        if self._trying or self._clock() < self._rests_until:
            raise PeerUnavailable(f"the {self._role} does not answer, and is asked again in a moment")
        self._trying = True

    def succeeded(self) -> None:
        """It answered, whatever it said."""
        if self._failures >= OPENS_AFTER:
            log.info("peer.back", role=self._role)
        self._failures, self._rest, self._trying = 0, REST_SECONDS, False

    def failed(self) -> None:
        """It did not answer."""
        self._failures += 1
        self._trying = False
        if self._failures >= OPENS_AFTER:
            self._rests_until = self._clock() + self._rest
            log.warning("peer.rests", role=self._role, seconds=self._rest)
            self._rest = min(2 * self._rest, LONGEST_REST)

    def left(self) -> None:
        """The caller did not wait for the answer: nothing is known."""
        self._trying = False


class Guard:
    """The calls to one peer."""

    def __init__(self, role: str, circuit: PeerCircuit | None = None) -> None:
        self._circuit = circuit or PeerCircuit(role)

    async def call(self, ask: Callable[[], Awaitable[T]], call: Call, *, reads: bool) -> T:
        """What `ask` answers. `reads` says that asking twice does no harm."""
        try:
            return await self._once(ask, call)
        except PeerUnavailable as error:
            pause = random.uniform(*PAUSE_SECONDS)  # noqa: S311  spreads callers, no secret
            again = _unasked(error) or (reads and not isinstance(error.__cause__, UpstreamTimeout))
            if not again or _too_late(call, pause):
                raise
        await asyncio.sleep(pause)
        return await self._once(ask, call)

    async def _once(self, ask: Callable[[], Awaitable[T]], call: Call) -> T:
        self._circuit.enter()
        try:
            answer = await ask()
        except PeerUnavailable as error:
            if _too_late(call, SLACK):
                self._circuit.left()  # the caller's own deadline passed, whatever the peer does
            elif error.__cause__ is None:  # it said so itself
                self._circuit.succeeded()
            else:
                self._circuit.failed()
            raise
        except UpstreamTimeout:
            self._circuit.left()
            raise
        except Exception:
            self._circuit.succeeded()  # a refusal is an answer
            raise
        except BaseException:
            self._circuit.left()
            raise
        self._circuit.succeeded()
        return answer

    async def stream(self, events: AsyncIterator[StreamEvent], call: Call) -> AsyncIterator[StreamEvent]:
        """The events. Only what comes before the first of them tells of the peer."""

        async def first() -> StreamEvent | None:
            return await anext(events, None)

        try:
            event = await self._once(first, call)
            while event is not None:
                yield event
                event = await anext(events, None)
        finally:
            if isinstance(events, AsyncGenerator):
                await events.aclose()


def _unasked(error: PeerUnavailable) -> bool:
    """No connection was made."""
    cause = error.__cause__
    return isinstance(cause, UpstreamUnreachable) or (
        isinstance(cause, UpstreamTimeout) and cause.phase == "connect"
    )


def _too_late(call: Call, pause: float) -> bool:
    return call.deadline is not None and call.deadline - time.monotonic() <= pause


class GuardedRetriever:
    """See `Retriever`."""

    def __init__(self, peer: Retriever) -> None:
        self._peer, self._guard = peer, Guard("RagManager")

    async def retrieve(self, request: RetrievalRequest, call: Call) -> Retrieved:
        """See `Retriever.retrieve`."""
        return await self._guard.call(lambda: self._peer.retrieve(request, call), call, reads=True)


class GuardedPersonas:
    """See `PersonaResolver`."""

    def __init__(self, peer: PersonaResolver) -> None:
        self._peer, self._guard = peer, Guard("PersonaLayer")

    async def resolve(self, name: str, variables: Mapping[str, Any], call: Call) -> ResolvedPersona:
        """See `PersonaResolver.resolve`."""
        return await self._guard.call(lambda: self._peer.resolve(name, variables, call), call, reads=True)


class GuardedChains:
    """See `ChainRunner`."""

    def __init__(self, peer: ChainRunner) -> None:
        self._peer, self._guard = peer, Guard("ChainEngine")

    async def run(self, name: str, inputs: Mapping[str, Any], call: Call) -> RunResult:
        """See `ChainRunner.run`."""
        return await self._guard.call(lambda: self._peer.run(name, inputs, call), call, reads=False)


class GuardedChat:
    """See `ChatCompleter`."""

    def __init__(self, peer: ChatCompleter) -> None:
        self._peer, self._guard = peer, Guard("Router")

    async def complete(self, request: ChatRequest, call: Call) -> ChatResponse:
        """See `ChatCompleter.complete`."""
        return await self._guard.call(lambda: self._peer.complete(request, call), call, reads=False)

    async def embed(self, request: EmbeddingRequest, call: Call) -> EmbeddingResponse:
        """See `ChatCompleter.embed`."""
        return await self._guard.call(lambda: self._peer.embed(request, call), call, reads=False)

    async def caller_of(self, owner: Owner, call: Call) -> Caller:
        """See `ChatCompleter.caller_of`."""
        return await self._guard.call(lambda: self._peer.caller_of(owner, call), call, reads=True)

    async def judge(self, judged: Judgement, call: Call) -> int:
        """See `ChatCompleter.judge`."""
        return await self._guard.call(lambda: self._peer.judge(judged, call), call, reads=True)

    def stream(self, request: ChatRequest, call: Call) -> AsyncIterator[StreamEvent]:
        """See `ChatCompleter.stream`."""
        return self._guard.stream(self._peer.stream(request, call), call)
