"""A judge's sample: some answers of a group that learns are graded by a model, beside the path of requests, within a budget.

Nobody waits for a grade, and nothing fails with it. It is asked as the caller whose answer it is, through dispatch, so the
limits and the budget of that key hold for it too, and its cost is in the record like that of any answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator

import msgspec
import structlog

from intellirouter import tasks
from intellirouter.chat.delta import StreamEvent, TextDelta
from intellirouter.chat.response import ChatResponse
from intellirouter.config.schema.model_registry import JudgeSection
from intellirouter.errors import IntelliRouterError
from intellirouter.inference.answering import Answering, Passing, Streamed
from intellirouter.inference.groups import forms, judging
from intellirouter.inference.groups.answers import text_of
from intellirouter.inference.job import Job, Trace
from intellirouter.inference.learning import outcome
from intellirouter.memory.store import StateStore

SECONDS = 120.0
MAX_AT_ONCE = 8
"""Grades under way; an answer beyond is not graded."""
DAY = 86_400.0

log = structlog.get_logger(__name__)


class Grader:
    """Grades answers in the background."""

    def __init__(self, store: StateStore) -> None:
        self._store = store
        self._running: set[asyncio.Task[None]] = set()
        self._chance = random.Random()  # noqa: S311  draws a sample, no secret

    def drawn(self, section: JudgeSection) -> bool:
        """Whether the next answer is to be graded."""
        return len(self._running) < MAX_AT_ONCE and self._chance.random() < section.share

    def whole(
        self, section: JudgeSection, answering: Answering, job: Job, response: ChatResponse, trace: Trace
    ) -> None:
        """Grade a whole answer. Never waits."""
        text = forms.judged_text(response)
        if text:
            self.begin(section, answering, job, text, trace)

    def begin(self, section: JudgeSection, answering: Answering, job: Job, text: str, trace: Trace) -> None:
        """Grade this text of an answer. Never waits."""
        if trace.decided is None or not trace.answered_by:
            return
        task = asyncio.create_task(self._guarded(section, answering, job, text, trace), name="grade")
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _guarded(
        self, section: JudgeSection, answering: Answering, job: Job, text: str, trace: Trace
    ) -> None:
        try:
            await self._grade(section, answering, job, text, trace)
        except IntelliRouterError as error:
            log.info("grade.failed", request_id=job.request_id, reason=error.message)
        except Exception:  # a defect here must not take more than this grade
            log.exception("grade.crashed", request_id=job.request_id)

    async def _grade(
        self, section: JudgeSection, answering: Answering, job: Job, text: str, trace: Trace
    ) -> None:
        spent = f"learning:judged:{job.request.model}"
        if await self._store.level(spent, window=DAY) >= section.daily_usd:
            return
        asked = msgspec.structs.replace(
            job,
            request=judging.to_grade(job.request, text, section.model, section.criterion),
            request_id=f"{job.request_id}-grade",
            deadline=time.monotonic() + SECONDS,
            relay=None,
            granted=(*job.granted, section.model),
        )
        response, told = await answering.complete(asked)
        if told.cost_usd:
            await self._store.add(spent, told.cost_usd, window=DAY)
        score = judging.grade(text_of(response))
        if score is not None and trace.decided is not None:
            trace.decided.judged(trace.answered_by[-1], outcome.JUDGE, score)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """What is under way at the end is given up."""
        try:
            yield
        finally:
            await tasks.end(*self._running)


class Overheard(Passing):
    """See `Streamed`. Passes a stream on as it is, and has what was said graded once it is complete."""

    def __init__(
        self, live: Streamed, grader: Grader, section: JudgeSection, answering: Answering, job: Job
    ) -> None:
        super().__init__(live)
        self._grader = grader
        self._section = section
        self._answering = answering
        self._job = job
        self._texts: list[str] = []
        self._length = 0

    async def batches(self) -> AsyncIterator[list[StreamEvent]]:
        """See `Streamed.batches`."""
        async for events in self._live.batches():
            for event in events:
                for delta in event.deltas:
                    if isinstance(delta, TextDelta) and delta.choice == 0 and self._length < judging.LONGEST:
                        self._texts.append(delta.text)
                        self._length += len(delta.text)
            yield events
        text = "".join(self._texts)
        if text.strip():
            self._grader.begin(self._section, self._answering, self._job, text, self.trace)
