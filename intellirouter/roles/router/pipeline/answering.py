"""The pipeline around dispatch."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Coroutine, Mapping
from typing import Any

import msgspec

from intellirouter.bounds.aside import ASIDE
from intellirouter.chat.delta import (
    AnnotationDelta,
    Delta,
    Finish,
    OpaqueDelta,
    Start,
    StreamEvent,
    TextDelta,
    UsageDelta,
)
from intellirouter.chat.embedding import EmbeddingRequest, EmbeddingResponse
from intellirouter.chat.model import ChatRequest, Message
from intellirouter.chat.openai_responses.content import DIALECT as RESPONSES
from intellirouter.chat.parts import Opaque, Text, ToolCall
from intellirouter.chat.response import ChatResponse, Choice, Usage
from intellirouter.errors import (
    IntelliRouterError,
    InvalidRequest,
    PeerUnavailable,
    UpstreamProtocolError,
)
from intellirouter.inference.answering import Answering, Streamed
from intellirouter.inference.guarding.guarded import Guarded
from intellirouter.inference.job import Job, Trace
from intellirouter.inference.usage import combined
from intellirouter.peers.contract import ChainRunner
from intellirouter.roles.router.pipeline.chain_failure import chain_failure
from intellirouter.roles.router.pipeline.citing import citations
from intellirouter.roles.router.pipeline.course import PERSONA_MODEL, Course, Steps
from intellirouter.roles.router.pipeline.file_search import file_search
from intellirouter.roles.router.pipeline.heard import Heard
from intellirouter.roles.router.pipeline.persona_guards import breach_of, complaint

CHAIN_MODEL = "chain/"


class Pipeline:
    """See `Answering`."""

    def __init__(
        self, inner: Answering, steps: Steps, chains: ChainRunner | None, guarded: Guarded | None = None
    ) -> None:
        """`guarded` lets through what is asked of chains, and what they answer."""
        self._inner = inner
        self._guarded = guarded
        self._steps = steps
        self._chains = chains

    def _asked(self, job: Job) -> bool:
        request = job.request
        return (
            request.options is not None
            or request.model.startswith((PERSONA_MODEL, CHAIN_MODEL))
            or request.model in self._steps.catalog.bound
            or self._steps.choice.has_rules
            or (
                bool(request.tools) and self._steps.retriever is not None and file_search(request) is not None
            )
        )

    def complete(self, job: Job) -> Coroutine[Any, Any, tuple[ChatResponse, Trace]]:
        """See `Answering.complete`."""
        return self._whole(job) if self._asked(job) else self._inner.complete(job)

    async def _whole(self, job: Job) -> tuple[ChatResponse, Trace]:
        course = await self._steps.prepare(job)
        if course.unchanged and not job.request.model.startswith(CHAIN_MODEL):
            return await self._inner.complete(job)
        try:
            response, trace = await self._answer(course)
        except IntelliRouterError:
            self._steps.failed(course)
            raise
        self._steps.answered(course, trace)
        trace.headers, trace.steps = {**trace.headers, **course.headers}, course.seconds
        if response.choices:
            message = Message("assistant", response.choices[0].content)
            await self._steps.store(course, message, response.model)
        return cited(response, course), trace

    async def _answer(self, course: Course) -> tuple[ChatResponse, Trace]:
        if course.refusal is not None:
            return _own(course.refusal, "persona"), _trace("persona")
        if course.request.model.startswith(CHAIN_MODEL):
            response, trace = await self._chain(course)
        else:
            response, trace = await self._inner.complete(_prepared(course))
        course.breach = breach_of(trace.guards)
        if course.schema is None or course.breach is not None:
            return response, trace
        with course.timed("guardrails"):
            found = await _complaint(course, course.schema, response)
        if found is not None:
            course.breach = "schema"
            return await self._once_more(course, course.schema, response, trace, found)
        return response, trace

    async def _once_more(
        self, course: Course, schema: Mapping[str, Any], response: ChatResponse, trace: Trace, found: str
    ) -> tuple[ChatResponse, Trace]:
        """An answer that did not hold to the schema is asked for again, with the reason."""
        text = response.choices[0].text
        asked = f"This does not hold to the JSON schema ({found}). Answer again with the JSON alone."
        more = (Message("assistant", (Text(text),)), Message("user", (Text(asked),)))
        course.request = course.request.changed(messages=(*course.request.messages, *more))
        again, second = await self._inner.complete(_prepared(course))
        second.cost_usd = None if second.cost_usd is None else second.cost_usd + (trace.cost_usd or 0.0)
        if trace.usage is not None and second.usage is not None:
            second.usage = combined(trace.usage, second.usage)
            again = msgspec.structs.replace(again, usage=second.usage)
        still = None if breach_of(second.guards) else await _complaint(course, schema, again)
        if still is not None:
            raise UpstreamProtocolError(
                f"the answer does not hold to the persona's output_schema, asked twice: {still}",
                provider=second.provider,
            )
        return again, second

    async def stream(self, job: Job) -> Streamed:
        """See `Answering.stream`."""
        if not self._asked(job):
            return await self._inner.stream(job)
        course = await self._steps.prepare(job)
        if course.unchanged and not job.request.model.startswith(CHAIN_MODEL):
            return await self._inner.stream(job)
        try:
            if course.refusal is not None:
                live: Streamed = Told(_own(course.refusal, "persona"), _trace("persona"))
            elif course.request.model.startswith(CHAIN_MODEL):
                live = Told(*await self._chain(course))
            else:
                live = await self._inner.stream(_prepared(course))
        except IntelliRouterError:
            self._steps.failed(course)
            raise
        live.trace.headers, live.trace.steps = {**live.trace.headers, **course.headers}, course.seconds
        return Piped(live, course, self._steps)

    async def embed(self, job: Job, wanted: EmbeddingRequest) -> tuple[EmbeddingResponse, Trace]:
        """See `Answering.embed`: nothing comes before vectors."""
        return await self._inner.embed(job, wanted)

    async def count(self, job: Job) -> tuple[int, bool]:
        """See `Answering.count`."""
        return await self._inner.count(job)

    async def _chain(self, course: Course) -> tuple[ChatResponse, Trace]:
        """A chain as a model: its inputs are the question and the conversation, its text is the answer."""
        if self._chains is None:
            raise PeerUnavailable("A chain was asked for, and no ChainEngine is part of this installation.")
        name = course.request.model.removeprefix(CHAIN_MODEL)
        job = msgspec.structs.replace(
            course.job, request=course.request, persona=course.named, guards=course.guards, found=course.found
        )
        if self._guarded is not None:
            await self._guarded.inward(job)
        question = next((m.text for m in reversed(course.request.messages) if m.role == "user"), "")
        if not question.strip():
            words = "A chain is asked with the text of the last message of the user, and there is none."
            raise InvalidRequest(words, param="messages")
        result = await self._chains.run(name, {"question": question}, course.call)
        if result.error is not None:
            raise chain_failure(name, result)
        trace = _trace("chain")
        trace.headers = {"x-intellirouter-run": result.run_id}
        trace.notes += _unheeded(course.request)
        usage = Usage(result.usage.get("input_tokens", 0), result.usage.get("output_tokens", 0))
        answer = _own(result.text, f"{CHAIN_MODEL}{name}", usage)
        return answer if self._guarded is None else await self._guarded.outward(job, answer, trace), trace


def _unheeded(request: ChatRequest) -> tuple[str, ...]:
    """What a chain, which does not see it, makes nothing of."""
    found = {
        "'n'": (request.n or 1) > 1,
        "'tools'": bool(request.tools),
        "Its output's form": request.output is not None,
    }
    return tuple(
        f"{name} was not heeded: a chain answers as it is defined." for name, set_ in found.items() if set_
    )


def _prepared(course: Course) -> Job:
    """The job with the request made ready. The answer is needed whole, so no bytes are relayed."""
    request = course.request
    if request.options is not None and course.passages:
        request = request.routed(options=msgspec.structs.replace(request.options, rag=None))
    return msgspec.structs.replace(
        course.job,
        request=request,
        relay=None,
        granted=course.granted,
        formed=course.schema is not None,
        persona=course.named,
        guards=(*course.job.guards, *course.guards),
        found=course.found,
    )


async def _complaint(course: Course, schema: Mapping[str, Any], response: ChatResponse) -> str | None:
    """What of an answer that calls nothing does not hold to the schema; None where all does."""
    texts = [
        choice.text
        for choice in response.choices
        if not any(isinstance(part, ToolCall) for part in choice.content)
    ]

    def first() -> str | None:
        return next((found for text in texts if (found := complaint(schema, text)) is not None), None)

    return await ASIDE.soon(course.call.caller.tenant, first)


def _own(text: str, model: str, usage: Usage | None = None) -> ChatResponse:
    choices = (Choice((Text(text),)),)
    return ChatResponse(id=f"chatcmpl-{uuid.uuid4().hex}", model=model, choices=choices, usage=usage)


def _trace(provider: str) -> Trace:
    trace = Trace()
    trace.provider = trace.model = provider
    return trace


def cited(response: ChatResponse, course: Course) -> ChatResponse:
    """The answer with its sources as annotations of its text, and the search before it."""
    if not response.choices or not (course.passages or course.searched):
        return msgspec.structs.replace(response, raw=None, dialect=None)
    first = response.choices[0]
    content = list(first.content)
    if course.searched is not None:
        content.insert(0, Opaque(RESPONSES, course.searched))
    for index, part in enumerate(content):
        if isinstance(part, Text):
            notes = citations(course.passages, part.text)
            content[index] = msgspec.structs.replace(part, annotations=(*part.annotations, *notes))
            break
    choice = msgspec.structs.replace(first, content=tuple(content))
    return msgspec.structs.replace(response, choices=(choice, *response.choices[1:]), raw=None, dialect=None)


class Told:
    """See `Streamed`. An answer that is already whole, told as a stream."""

    dialect: str | None = None
    said: tuple[Delta, ...] = ()

    def __init__(self, response: ChatResponse, trace: Trace) -> None:
        self.trace = trace
        self._response = response

    async def batches(self) -> AsyncIterator[list[StreamEvent]]:
        """See `Streamed.batches`."""
        start = Start(self._response.id, self._response.model)
        usage = () if self._response.usage is None else (UsageDelta(self._response.usage),)
        yield [StreamEvent((start, TextDelta(self._response.choices[0].text, 1), *usage, Finish("stop")))]

    def close(self) -> None:
        """Nothing to let go."""


class Piped:
    """See `Streamed`. Adds the sources before the answer finishes, and keeps the turn, whole or as far as it came."""

    dialect: str | None = None
    said: tuple[Delta, ...] = ()

    def __init__(self, live: Streamed, course: Course, steps: Steps) -> None:
        self._live = live
        self._course = course
        self._steps = steps

    @property
    def trace(self) -> Trace:
        """See `Streamed.trace`."""
        return self._live.trace

    async def batches(self) -> AsyncIterator[list[StreamEvent]]:
        """See `Streamed.batches`."""
        course = self._course
        try:
            async for events in self._batches():
                yield events
        except IntelliRouterError:
            self._steps.failed(course)
            raise
        course.breach = breach_of(self.trace.guards)
        self._steps.answered(course, self.trace)

    async def _batches(self) -> AsyncIterator[list[StreamEvent]]:
        heard, ended = Heard(), False
        block, words = 0, list[str]()  # the part that is told now
        searched = self._course.searched
        try:
            async for events in self._live.batches():
                out: list[StreamEvent] = []
                for event in events:
                    deltas = event.deltas
                    heard.take(deltas)
                    for delta in deltas:
                        if isinstance(delta, TextDelta) and delta.choice == 0:
                            if delta.block != block:
                                block, words = delta.block, []
                            words.append(delta.text)
                        elif isinstance(delta, Finish) and delta.choice == 0:
                            notes = citations(self._course.passages, "".join(words))
                            out.extend(StreamEvent((AnnotationDelta(note, None, block),)) for note in notes)
                    begun = next((i for i, delta in enumerate(deltas) if isinstance(delta, Start)), None)
                    if begun is None and any(not isinstance(delta, UsageDelta) for delta in deltas):
                        begun = -1  # a provider that begins with its words
                    if searched is not None and begun is not None:  # it came before any word
                        found = OpaqueDelta(RESPONSES, searched)
                        deltas = (*deltas[: begun + 1], found, *deltas[begun + 1 :])
                        searched = None
                    out.append(StreamEvent(deltas))
                yield out
            ended = True
        finally:  # also where the client went away, or the answer broke: what it has read is part of the conversation
            message = heard.whole() if ended else heard.cut()
            if message is not None:
                await self._steps.store(self._course, message, self.trace.model, incomplete=not ended)

    def close(self) -> None:
        """See `Streamed.close`."""
        self._live.close()
