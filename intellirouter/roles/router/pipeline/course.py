"""One request made ready: persona first, then the conversation so far, then retrieved context."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import msgspec
import structlog

from intellirouter.bounds.aside import ASIDE
from intellirouter.chat import fields
from intellirouter.chat.context import Source, context_block
from intellirouter.chat.fields import Json
from intellirouter.chat.model import ChatRequest, Message, OutputFormat, Tool
from intellirouter.chat.openai_chat.format import FORMAT
from intellirouter.chat.openai_responses.content import DIALECT as RESPONSES
from intellirouter.chat.parts import Text
from intellirouter.errors import IntelliRouterError, NotFound, PayloadTooLarge, PeerUnavailable
from intellirouter.guards.guard import Guard
from intellirouter.guards.report import Report
from intellirouter.inference.catalog import AUTO, Catalog
from intellirouter.inference.guarding.rules import Guards
from intellirouter.inference.job import Job, Trace
from intellirouter.memory.conversations import (
    Conversations,
    Turn,
    fits,
    holds_history,
    overlap,
    shared,
    window,
)
from intellirouter.peers.contract import (
    Call,
    Passage,
    PersonaResolver,
    ResolvedPersona,
    RetrievalRequest,
    Retrieved,
    Retriever,
)
from intellirouter.records.named import SESSION_HEADERS, first
from intellirouter.roles.router.pipeline.choosing import PersonaChoice
from intellirouter.roles.router.pipeline.file_search import call_item, file_search, rag_of, without
from intellirouter.roles.router.pipeline.guarded_passages import believed
from intellirouter.roles.router.pipeline.outcomes import Outcomes
from intellirouter.roles.router.pipeline.persona_guards import Breach, guards_of, is_data, refused
from intellirouter.roles.router.pipeline.question import question
from intellirouter.roles.router.pipeline.summaries import Summarizer, uncovered
from intellirouter.security.keeping import Keeping
from intellirouter.telemetry.logs import exception_facts
from intellirouter.telemetry.tracing.span import step, traceparent_of

PERSONA_MODEL = "persona/"
RAG_HEADER = "x-intellirouter-rag"
PERSONA_HEADER = "x-intellirouter-persona"
GUARDRAIL_HEADER = "x-intellirouter-guardrail"
"""The persona's rule that a whole answer broke and was held to."""

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Course:
    """A request under way. `said` is what the client itself sent: what a conversation keeps."""

    job: Job
    request: ChatRequest
    said: tuple[Message, ...]
    call: Call
    conversation: str | None = None
    lead: int = 0  # messages that a persona put in front
    known: int = 0  # how many of the messages said are kept already
    passages: tuple[Passage, ...] = ()
    refusal: str | None = None
    named: str = ""  # the persona, without its version
    persona: str | None = None  # with its version, `analyst@3`
    guards: tuple[Guard, ...] = ()  # the persona's guardrails
    schema: Mapping[str, Any] | None = None  # the persona's, which the whole answer is held to
    breach: Breach | None = None  # the rule that the answer broke
    granted: tuple[str, ...] = ()  # models that the operator's persona leads to
    found: Report | None = None  # by guards, in what was retrieved
    searched: Json | None = None  # the search as an item of the answer, where the client's dialect has such
    headers: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)  # of each step that ran

    @contextlib.contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Note how long the step takes, also when it fails."""
        began = time.perf_counter()
        try:
            with step(name):
                yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - began

    @property
    def unchanged(self) -> bool:
        """Whether no step had anything to do."""
        return self.request is self.job.request and not self.headers and self.conversation is None


@dataclass(frozen=True, slots=True)
class Steps:
    """What the steps use. A peer that is None is not part of this installation."""

    catalog: Catalog
    personas: PersonaResolver | None
    retriever: Retriever | None
    conversations: Conversations
    conversation_tokens: int
    choice: PersonaChoice
    outcomes: Outcomes
    guards: Guards
    summarizer: Summarizer | None = None
    keeping: Keeping = field(default_factory=Keeping)

    async def prepare(self, job: Job) -> Course:
        """Run the steps that `job` asks for."""
        request = job.request
        call = Call(
            job.caller,
            job.request_id,
            job.deadline,
            traceparent=traceparent_of(job.headers),
            session=first(*map(job.headers.get, SESSION_HEADERS)),
        )
        course = Course(job, request, request.messages, call)
        entry = self.catalog.named(request.model)
        options = request.options
        name = (options.persona if options else None) or (entry.persona if entry else None)
        if request.model.startswith(PERSONA_MODEL):
            name = request.model.removeprefix(PERSONA_MODEL)
            course.request = request.changed(model=AUTO)
        name = name or self.choice.by_rule(job)
        rag = (options.rag if options else None) or (entry.rag if entry else None)
        if name:
            course.named = name.partition("@")[0]
            variables = (options.persona_variables if options else None) or {}
            with course.timed("persona"):
                resolved = await self._persona(course, name, variables)
            rag = rag or resolved.rag
        if options is not None and options.conversation:
            with course.timed("conversation"):
                await self._conversation(course, options.conversation)
        if course.refusal is None:
            if (tool := file_search(request)) is not None and not rag:
                await self._file_search(course, tool)
            elif rag:
                await self._retrieval(course, rag)
        return course

    async def _persona(self, course: Course, name: str, variables: Mapping[str, Any]) -> ResolvedPersona:
        if self.personas is None:
            raise PeerUnavailable(
                "A persona was asked for, and no PersonaLayer is part of this installation."
            )
        resolved = await self.personas.resolve(
            self.choice.versioned(name, course.job), variables, course.call
        )
        request = course.request
        absent: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value
            for key, value in resolved.defaults.items()
            if getattr(request, key, value) in (None, ())
        }
        asked = course.job.request.model
        if (asked == AUTO or asked.startswith(PERSONA_MODEL)) and resolved.model:
            absent["model"] = resolved.model
        schema = resolved.guardrails.get("output_schema")
        if schema and request.output is None:
            absent["output"] = OutputFormat("json_schema", schema=dict(schema), name="answer")
        if resolved.tools:
            absent["tools"] = (*request.tools, *_tools(resolved))
        course.request = request.changed(messages=(*resolved.messages, *request.messages), **absent)
        course.lead = len(resolved.messages)
        if resolved.shared and course.job.request.model.startswith(PERSONA_MODEL):
            course.granted = (course.request.model,)  # whoever may use `persona/x` may use what is behind it
        course.headers[PERSONA_HEADER] = f"{resolved.name}; version={resolved.version}"
        course.persona = outcome_name(resolved, course.call.caller.tenant)
        course.guards = guards_of(resolved.guardrails, data=is_data(course.request))
        course.schema = schema if request.output is None else None
        course.refusal = await refused(resolved.guardrails, course.said, course.call.caller.tenant)
        return resolved

    async def _conversation(self, course: Course, name: str) -> None:
        course.conversation = name
        fits(course.said)
        turns = await self.conversations.turns(course.call.caller.tenant, name)
        await self._room(course.call.caller.tenant, begun=not turns)
        if not turns:
            return
        messages = course.request.messages
        lead = len(messages) - len(course.said)  # what the persona put in front stays in front
        while lead < len(messages) and messages[lead].role in ("system", "developer"):
            lead += 1
        turns, course.known, whole = _without_what_is_said(turns, messages[lead:])
        earlier = [] if whole else await self._earlier(course, name, turns)
        if not earlier:
            return
        course.request = course.request.changed(messages=(*messages[:lead], *earlier, *messages[lead:]))

    async def _room(self, tenant: str, *, begun: bool) -> None:
        """Raises `KeepsTooMuch`, before a model is asked, where the turn could not be kept."""
        kept = self.conversations.kept
        if begun:
            self.keeping.check(tenant, "conversations", await kept.level(tenant, "number"))
        self.keeping.check(tenant, "conversation_bytes", await kept.level(tenant, "bytes"))

    async def _earlier(self, course: Course, name: str, turns: list[Turn]) -> list[Message]:
        """The turns that go along, after what is written down of those before them."""
        if self.summarizer is None:
            return window(turns, self.conversation_tokens)
        summary = await self.conversations.summary(course.call.caller.tenant, name)
        if summary is None:
            return window(turns, self.conversation_tokens)
        block = Text(f"Summary of the conversation so far:\n{summary.text}")
        return [Message("system", (block,)), *window(uncovered(turns, summary), self.conversation_tokens)]

    async def _retrieval(self, course: Course, rag: Mapping[str, Any]) -> None:
        wanted = retrieval_request(dict(rag), question(course.request.messages[course.lead :]))
        try:
            with course.timed("retrieval"):
                found = await self._look_up(wanted, course.call)
        except IntelliRouterError as error:
            if rag.get("on_error") != "skip" or not error.retryable:
                raise
            log.warning("retrieval.skipped", request_id=course.call.request_id, **exception_facts(error))
            course.headers[RAG_HEADER] = f"skipped: {error.code}"
            return
        course.passages = found.passages
        if self.guards.all:
            guards, report = self.guards.of(course.job), Report()
            course.passages = await ASIDE.soon(
                course.call.caller.tenant, lambda: believed(found.passages, guards, report)
            )
            course.found = report if report else None
        partial = ("; partial" if found.partial else "") + ("; not expanded" if found.notes else "")
        course.headers[RAG_HEADER] = (
            f"skipped: {found.skipped}" if found.skipped else f"{len(course.passages)}{partial}"
        )
        if course.passages:
            sources = [Source(passage.text, passage.title, passage.location) for passage in course.passages]
            course.request = course.request.changed(
                messages=with_context(course.request.messages, context_block(sources))
            )

    async def _file_search(self, course: Course, tool: Tool) -> None:
        if (choice := course.request.tool_choice) is not None and choice.kind == "none":
            course.request = without(course.request, tool)
            return
        try:
            await self._retrieval(course, rag_of(tool))
        except NotFound:  # the provider's own vector stores
            return
        course.request = without(course.request, tool)
        if course.job.relay == RESPONSES:
            asked = question(course.job.request.messages)
            course.searched = call_item(course.job.request.source, asked, course.passages)

    async def _look_up(self, wanted: RetrievalRequest, call: Call) -> Retrieved:
        if self.retriever is None:
            raise PeerUnavailable("Retrieval was asked for, and no RagManager is part of this installation.")
        return await self.retriever.retrieve(wanted, call)

    def answered(self, course: Course, trace: Trace) -> None:
        """Write down how the persona did."""
        if course.persona is None:
            return
        if course.breach is not None:
            log.info(
                "guardrail.enforced",
                request_id=course.call.request_id,
                persona=course.persona,
                rule=course.breach,
            )
            course.headers[GUARDRAIL_HEADER] = course.breach
        measures = {course.breach: 1.0} if course.breach is not None else {}
        self.outcomes.count(
            course.persona,
            answers=1.0,
            refused=0.0 if course.refusal is None else 1.0,
            seconds=time.perf_counter() - trace.began,
            output_tokens=float(trace.usage.output_tokens) if trace.usage is not None else 0.0,
            usd=trace.cost_usd or 0.0,
            **measures,
        )

    def failed(self, course: Course) -> None:
        """Write down that nothing could be answered."""
        if course.persona is not None:
            self.outcomes.count(course.persona, errors=1.0)

    async def store(self, course: Course, answered: Message, model: str, *, incomplete: bool = False) -> None:
        """Keep the turn, where a conversation was named. What the persona and retrieval added is not part of it."""
        if course.conversation is not None:
            said = [m for m in course.said if m.role not in ("system", "developer")]
            turn = (*said[course.known :], answered)
            caller = course.call.caller
            with course.timed("store"):
                try:
                    await self.conversations.add(
                        caller.tenant, course.conversation, turn, model, incomplete=incomplete
                    )
                except (
                    PayloadTooLarge
                ):  # the answer was given: what is too long to be kept is all that is lost
                    log.warning("conversation.turn_not_kept", request_id=course.call.request_id)
                    return
            if self.summarizer is not None:
                self.summarizer.turn_kept(caller, course.conversation, course.call.request_id)


def _without_what_is_said(turns: list[Turn], said: tuple[Message, ...]) -> tuple[list[Turn], int, bool]:
    """The turns that a client did not send itself, how many of its messages they hold, and whether it sent them all.

    A client may name a conversation and send its history as well. Where it tells the history from its beginning, what it
    tells is what holds: its user may have changed a question and gone on from there.
    """
    kept = [message for turn in turns for message in turn.messages]
    said = tuple(message for message in said if message.role not in ("system", "developer"))
    count = overlap(kept, said)
    if count == len(kept) or holds_history(kept, said):
        alike = count or shared(kept, said)
        return [], alike, True
    left = len(kept) - count
    rest: list[Turn] = []
    for turn in turns:
        if left <= 0:
            break
        rest.append(msgspec.structs.replace(turn, messages=turn.messages[:left]))
        left -= len(turn.messages)
    return rest, count, False


def outcome_name(resolved: ResolvedPersona, tenant: str) -> str:
    """What its outcomes are counted under: a tenant's own persona is not the shared one of that name."""
    whose = "" if resolved.shared else f"{quote(tenant, safe='')}/"
    return f"{whose}{resolved.name}@{resolved.version}"


def _tools(resolved: ResolvedPersona) -> tuple[Any, ...]:
    body: Json = {"model": "x", "messages": [{"role": "user", "content": ""}], "tools": list(resolved.tools)}
    return FORMAT.decode_request(body, {}).tools


def retrieval_request(rag: Json, query: str) -> RetrievalRequest:
    """The `rag` object of a request. Raises `InvalidRequest` naming the field."""
    collections = fields.strings(rag, "collections", "rag") or fields.strings(rag, "collection", "rag")
    if not collections:
        fields.missing("rag.collections")
    score = fields.number(rag, "min_score", "rag")
    return RetrievalRequest(
        query=fields.text(rag, "query", "rag") or query,
        collections=collections,
        top_k=fields.integer(rag, "top_k", "rag", least=1, most=100) or 5,
        filters=fields.mapping(rag, "filters", "rag"),
        min_score=score or 0.0,
        relevant=score is None,
        token_budget=fields.integer(rag, "token_budget", "rag", least=1),
        rerank=fields.text(rag, "rerank", "rag"),
        mode=fields.one_of(rag, "mode", ("fused", "dense", "lexical"), "rag") or "fused",
        expand=fields.strings(rag, "expand", "rag") if "expand" in rag else None,
        variants=fields.strings(rag, "variants", "rag"),
        passages=fields.strings(rag, "passages", "rag"),
    )


def with_context(messages: tuple[Message, ...], block: str) -> tuple[Message, ...]:
    """The block just before the last user text: what stands before it stays the same for the provider's prefix cache."""
    for index in reversed(range(len(messages))):
        message = messages[index]
        if message.role == "user":
            told = msgspec.structs.replace(message, content=(Text(block + "\n\n"), *message.content))
            return (*messages[:index], told, *messages[index + 1 :])
    return (*messages, Message("user", (Text(block),)))
