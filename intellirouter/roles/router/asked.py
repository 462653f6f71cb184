"""A request to the Router as the record sees it on its way: what is picked of it, and when."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import msgspec
from aiohttp import web

from intellirouter.chat.delta import StreamEvent
from intellirouter.chat.model import ChatRequest
from intellirouter.errors import IntelliRouterError
from intellirouter.inference.cache.dispatcher import CANNED_HEADER
from intellirouter.inference.cache.dispatcher import HEADER as CACHE_HEADER
from intellirouter.inference.catalog import Catalog
from intellirouter.inference.job import Attempt, Trace
from intellirouter.inference.offline_transport import OFFLINE
from intellirouter.records.named import MAX_TAGS, bounded, first, tags_of, user_of
from intellirouter.roles.router.kept_content import ContentPolicy, Kept
from intellirouter.roles.router.pipeline.course import GUARDRAIL_HEADER, PERSONA_HEADER
from intellirouter.roles.router.recorded import AskedPart, ContentPart, PlainPart, Told
from intellirouter.security.caller import Caller
from intellirouter.web.noting import SIZE, Failure, Known, error_facts

RUN_HEADER = "x-intellirouter-run"
_TELLING = frozenset({CACHE_HEADER, CANNED_HEADER, PERSONA_HEADER, RUN_HEADER, GUARDRAIL_HEADER})
"""Headers of an answer that say something of it for its row."""


def told_by(trace: Trace) -> Told:
    """The trace, as far as the record keeps it."""
    headers, usage, plan, guards = trace.headers, trace.usage, trace.plan(), trace.guards
    get = headers.get
    return Told(
        trace.model,
        trace.provider,
        plan,
        _lone(trace) or [attempt.kept() for attempt in trace.attempts],
        trace.steps,
        trace.upstream_seconds,
        trace.notes,
        None
        if usage is None
        else (
            usage.input_tokens,
            usage.output_tokens,
            usage.cached_tokens,
            usage.cache_write_tokens,
            usage.reasoning_tokens,
            usage.cache_write_1h_tokens,
        ),
        trace.cost_usd,
        get(CACHE_HEADER) or ("canned" if CANNED_HEADER in headers else ""),
        get(PERSONA_HEADER),
        get(RUN_HEADER),
        get(GUARDRAIL_HEADER),
        None if guards is None else guards.shown(),
    )


def _lone(trace: Trace) -> str:
    """The one target that was asked, once, and answered, where the rest of the trace tells all about that; else empty."""
    if len(trace.attempts) == 1 and _tells(trace, trace.attempts[0]):
        return trace.attempts[0].candidate
    return ""


def _tells(trace: Trace, attempt: Attempt) -> bool:
    """Whether the rest of the trace tells all about an attempt that was the only one."""
    return (
        attempt.usage is trace.usage
        and attempt.outcome == "ok"
        and attempt.seconds == trace.upstream_seconds
        and attempt.sent < 2
        and not attempt.upstream_status
    )


class Asked(msgspec.Struct, gc=False):
    """What a request asks, until it is over. See `Part`."""

    catalog: Catalog
    chat: ChatRequest
    dialect: str
    session: str = ""
    trace: Trace | None = None
    first_token: float | None = None
    broken: Failure | None = None
    content: Kept | None = None
    size: int = 0

    def close(self) -> Known:
        """See `Part.close`."""
        # in one piece: each function called here is one more that is not in the processor's cache
        chat, trace = self.chat, self.trace
        body = {} if chat.source is None else chat.source.body
        metadata, named = body.get("metadata"), body.get("safety_identifier")
        if (
            metadata
            or named
            or chat.user
            or self.session
            or chat.options is not None
            or self.content is not None
            or trace is None
            or not trace.lone
            or len(trace.attempts) != 1
            or (usage := trace.usage) is None
            or self.broken is not None
            or trace.guards is not None
            or not _tells(trace, attempt := trace.attempts[0])
            or ((headers := trace.headers) and not _TELLING.isdisjoint(headers))
        ):
            return self._whole(metadata, named)
        model = chat.model
        # what came of a request that named nothing but a model, where that is what comes of most
        return PlainPart(
            model,
            self.dialect,
            chat.stream,
            self.first_token,
            self.catalog.rates(model),
            trace.model,
            trace.provider,
            trace.lone,
            attempt.candidate,
            trace.steps,
            trace.upstream_seconds,
            trace.notes,
            usage.input_tokens,
            usage.output_tokens,
            trace.cost_usd,
            usage.cached_tokens,
            usage.cache_write_tokens,
            usage.reasoning_tokens,
            usage.cache_write_1h_tokens,
        )

    def _whole(self, metadata: object, safety_identifier: object) -> Known:
        chat, options = self.chat, self.chat.options
        user, session = "", self.session
        tags: tuple[str, ...] = ()
        collections: tuple[str, ...] = ()
        if chat.user or metadata or safety_identifier:
            user = user_of(chat.user, metadata, safety_identifier)
        if options is not None or metadata:
            tags = tags_of({}, metadata, options.tags if options is not None else ())
            told = metadata.get("session_id") if isinstance(metadata, dict) else None
            session = first(session, options.conversation if options is not None else None, told)
        if options is not None:
            collections = _collections(options.rag)
        part = AskedPart(
            chat.model,
            self.dialect,
            chat.stream,
            user,
            tags,
            session,
            collections,
            self.first_token,
            self.broken,
            self.catalog.rates(chat.model),
            None if self.trace is None else told_by(self.trace),
        )
        return part if self.content is None else ContentPart(part, self.content, SIZE + self.size)


class Watch:
    """A stream, as the record sees it pass; of nothing where nothing is recorded."""

    __slots__ = ("_asked", "_kept", "_since")

    def __init__(self, asked: Asked | None) -> None:
        self._asked = asked
        self._kept = asked.content if asked is not None else None
        self._since = time.perf_counter()

    def began(self) -> None:
        """The first token came."""
        if self._asked is not None:
            self._asked.first_token = time.perf_counter() - self._since

    def take(self, events: list[StreamEvent]) -> None:
        """More came."""
        if self._kept is not None:
            self._kept.take(events)

    def broke(self, error: IntelliRouterError) -> None:
        """It ended with this error, after its status had been sent."""
        if self._asked is not None:
            self._asked.broken = error_facts(error)


def _collections(rag: Mapping[str, Any] | None) -> tuple[str, ...]:
    if not rag:
        return ()
    named = rag.get("collections") or rag.get("collection") or ()
    if not isinstance(named, (list, tuple)):
        named = (named,)
    return tuple(bounded(name) for name in named if isinstance(name, str))[:MAX_TAGS]


def cost_of(trace: Trace) -> str:
    """What an answer cost in US dollars, as headers tell it: `0` when nobody is paid, `unknown` when tokens have no known price."""
    if trace.cost_usd is not None:
        return f"{trace.cost_usd:.8f}"
    return "0" if trace.usage is None or trace.provider == OFFLINE.name else "unknown"


def cost_comment(trace: Trace, comments: bool) -> bytes:
    """The same before the end of a stream, which cannot have it in its headers, for clients that pass over comments."""
    return (
        b": x-intellirouter-cost-usd: %.8f\n\n" % trace.cost_usd
        if comments and trace.cost_usd is not None
        else b""
    )


def asked_of(
    catalog: Catalog,
    policy: ContentPolicy,
    chat: ChatRequest,
    caller: Caller,
    dialect: str,
    request: web.Request | None,
) -> Asked:
    """What a request asks, noted before it is answered."""
    asked = Asked(catalog, chat, dialect)
    if policy.level != "off" and (level := policy.of(caller)) != "off":
        asked.content = Kept(level, policy.redaction, chat)
        asked.size = (request.content_length or 0) * 4 if request is not None else 0
    return asked
