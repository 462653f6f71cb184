"""Groups before dispatch: a model that is several is asked here, every other one goes through. See `Answering`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

from intellirouter.chat.delta import Delta, Start, StreamEvent, UsageDelta
from intellirouter.chat.embedding import EmbeddingRequest, EmbeddingResponse
from intellirouter.chat.model import ChatRequest
from intellirouter.chat.parts import ToolCall, ToolResult
from intellirouter.chat.response import ChatResponse
from intellirouter.chat.told import deltas_of
from intellirouter.config.schema.model_registry import JudgeSection
from intellirouter.errors import IntelliRouterError, InvalidRequest
from intellirouter.inference.answering import Answering, Streamed
from intellirouter.inference.catalog import Catalog
from intellirouter.inference.catalog_entries import Group, ModelEntry
from intellirouter.inference.groups import judging
from intellirouter.inference.groups.answers import most_alike, text_of
from intellirouter.inference.groups.asking import Asking
from intellirouter.inference.groups.cascade import above, climbed
from intellirouter.inference.groups.ensemble import answers, first_of, pick
from intellirouter.inference.groups.formed import formed
from intellirouter.inference.groups.forms import asks_for_json
from intellirouter.inference.groups.grading import Grader, Overheard
from intellirouter.inference.job import Job, Trace
from intellirouter.inference.learned import Learned
from intellirouter.inference.permission import permitted
from intellirouter.inference.usage import combined


class GroupedDispatch:
    """See `Answering`."""

    def __init__(
        self,
        inner: Answering,
        catalog: Catalog,
        learned: Learned,
        grader: Grader,
        on: Callable[[str, Job], bool] = lambda _feature, _job: True,
    ) -> None:
        """`on`: whether a feature of `[features]` is on for a job."""
        self._inner = inner
        self._catalog = catalog
        self._learned = learned
        self._grader = grader
        self._on = on

    def complete(self, job: Job) -> Coroutine[Any, Any, tuple[ChatResponse, Trace]]:
        """See `Answering.complete`."""
        found = self._group(job)
        if found is not None:
            return self._whole(job, *found)
        request = job.request
        if (
            request.output is not None
            and not job.formed
            and asks_for_json(request)
            and self._on("validation", job)
        ):
            return formed(self._inner, job)
        judge = self._judge(job)
        return self._inner.complete(job) if judge is None else self._graded(job, judge)

    async def _graded(self, job: Job, judge: JudgeSection) -> tuple[ChatResponse, Trace]:
        response, trace = await self._inner.complete(job)
        self._grader.whole(judge, self._inner, job, response, trace)
        return response, trace

    def _judge(self, job: Job) -> JudgeSection | None:
        """Who grades the answer to this job, where it is drawn."""
        entry = self._catalog.named(job.request.model)
        if job.alone or entry is None or entry.learning is None or (judge := entry.learning.judge) is None:
            return None
        return judge if self._on("performance_tracking", job) and self._grader.drawn(judge) else None

    async def _whole(self, job: Job, entry: ModelEntry, group: Group) -> tuple[ChatResponse, Trace]:
        asking, onward = await self._asked(job, entry, group)
        if isinstance(onward, ChatRequest):
            try:
                return asking.finished(await asking.ask(onward, "answer"), asking.told[-1])
            except IntelliRouterError:
                if asking.spare is None:
                    raise
                return asking.finished(*asking.spare)
        return onward

    async def stream(self, job: Job) -> Streamed:
        """See `Answering.stream`. What is chosen among whole answers is told at once; what is written last is streamed."""
        found = self._group(job)
        if found is None:
            judge = self._judge(job)
            live = await self._inner.stream(job)
            return live if judge is None else Overheard(live, self._grader, judge, self._inner, job)
        asking, onward = await self._asked(job, *found)
        if not isinstance(onward, ChatRequest):
            return Whole(*onward)
        asking.told.append({"role": "answer", "model": onward.model, "chosen": True})
        try:
            last = await self._inner.stream(asking.member_job(onward.routed(stream=True)))
        except IntelliRouterError as error:
            if asking.spare is None:
                raise
            asking.told[-1] = {"role": "answer", "model": onward.model, "outcome": error.code}
            return Whole(*asking.finished(*asking.spare))
        return Last(last, asking, onward.model)

    async def embed(self, job: Job, wanted: EmbeddingRequest) -> tuple[EmbeddingResponse, Trace]:
        """See `Answering.embed`."""
        found = self._group(job)
        if found is not None and not found[0].candidates:
            raise InvalidRequest(
                f"'{found[0].name}' is a group of models, which has no vectors.", param="model"
            )
        return await self._inner.embed(job, wanted)

    async def count(self, job: Job) -> tuple[int, bool]:
        """See `Answering.count`: a group counts as its first member does."""
        found = self._group(job)
        if found is None or found[0].candidates:
            return await self._inner.count(job)
        first = found[1].members[0]
        asking = Asking(self._inner, job, found[0].name, "count")
        return await self._inner.count(asking.member_job(job.request.routed(model=first)))

    def _group(self, job: Job) -> tuple[ModelEntry, Group] | None:
        if job.request.model not in self._catalog.groups:
            return None
        entry = self._catalog.named(job.request.model)
        if entry is None or entry.group is None:
            return None
        permitted(self._catalog, job.caller, job.request.model, granted=job.granted)
        if entry.candidates and not self._on("validation", job):
            return None  # a plain model with rules, which are off
        return entry, entry.group

    async def _asked(
        self, job: Job, entry: ModelEntry, group: Group
    ) -> tuple[Asking, ChatRequest | tuple[ChatResponse, Trace]]:
        """The answer, or the request whose answer will be it."""
        request, asking = job.request, Asking(self._inner, job, entry.name, group.kind)
        if group.ensemble is None:
            return asking, await self._climbed(asking, entry, group)
        ensemble = group.ensemble
        merging = self._on("result_merging", job)
        alone = ensemble.judge if ensemble.merge == "synthesis" else ensemble.members[0]
        if alone is not None and (_amid_tools(request) or (request.tools and ensemble.merge != "synthesis")):
            return asking, request.routed(model=alone)  # one alone may call tools, and is told what they said
        at_once = self._on("parallel_execution", job)
        if not merging:
            return asking, asking.finished(*await first_of(asking, ensemble.members, request))
        got = await answers(asking, ensemble, request, at_once=at_once)
        if ensemble.merge == "synthesis" and ensemble.judge is not None:
            texts = [text_of(response) for response, _ in got]
            if not request.tools and (request.n or 1) == 1:  # what the members were asked is what was asked
                asking.spare = got[most_alike(texts)]
            return asking, judging.to_write(request, texts, ensemble.judge)
        return asking, asking.finished(*await pick(asking, ensemble, request, got))

    async def _climbed(
        self, asking: Asking, entry: ModelEntry, group: Group
    ) -> ChatRequest | tuple[ChatResponse, Trace]:
        job = asking.job
        rules = group.validation if self._on("validation", job) else None
        steps = group.steps or (entry.name, *(() if job.alone else entry.fallbacks))
        if group.steps and self._on("model_selection", job):
            asking.decided = self._learned.climb(job, entry.name, steps)
            steps = above(asking.decided, steps, group.confidence)
        reached = await climbed(asking, steps, rules, job.request)
        if reached is None:
            return job.request.routed(model=steps[-1])
        return asking.finished(*reached)


def _amid_tools(request: ChatRequest) -> bool:
    """Whether tools were called already: who has none cannot be shown that."""
    return any(
        isinstance(part, (ToolCall, ToolResult)) for message in request.messages for part in message.content
    )


class Whole:
    """A whole answer told as a stream. See `Streamed`."""

    dialect: str | None = None
    said: tuple[Delta, ...] = ()

    def __init__(self, response: ChatResponse, trace: Trace) -> None:
        self.trace = trace
        self._response = response

    async def batches(self) -> AsyncIterator[list[StreamEvent]]:
        """See `Streamed.batches`."""
        yield [StreamEvent((delta,)) for delta in deltas_of(self._response)]

    def close(self) -> None:
        """Nothing to let go."""


class Last:
    """The answer that is written last, streamed; its usage is that of all. See `Streamed`."""

    dialect: str | None = None
    said: tuple[Delta, ...] = ()

    def __init__(self, live: Streamed, asking: Asking, model: str) -> None:
        self._live = live
        self._asking = asking
        self._model = model
        self._id = ""
        self.trace = self._traced()

    def _traced(self) -> Trace:
        inner = self._live.trace
        return self._asking.trace(inner.provider, inner.model, inner)

    async def batches(self) -> AsyncIterator[list[StreamEvent]]:
        """See `Streamed.batches`."""
        async for events in self._live.batches():
            self._find_id(events)
            yield [StreamEvent(tuple(self._summed(delta) for delta in event.deltas)) for event in events]
        self._update()
        self._asking.answered(self._model, self._id)

    def _find_id(self, events: list[StreamEvent]) -> None:
        if not self._id:
            starts = (delta for event in events for delta in event.deltas if isinstance(delta, Start))
            self._id = next((start.id for start in starts), "")

    def _summed(self, delta: Delta) -> Delta:
        if not isinstance(delta, UsageDelta):
            return delta
        before = self._asking.trace().usage
        return UsageDelta(combined(before, delta.usage))

    def _update(self) -> None:
        """What came in the meantime, in the trace that is known outside."""
        now = self._traced()
        for name in ("attempts", "usage", "cost_usd", "upstream_seconds", "rescued", "answered_by"):
            setattr(self.trace, name, getattr(now, name))

    def close(self) -> None:
        """See `Streamed.close`."""
        self._live.close()
        self._update()
