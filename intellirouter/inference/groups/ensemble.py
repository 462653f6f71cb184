"""Members asked at once, and one answer made of theirs."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Sequence
from typing import Any

from intellirouter.chat.model import ChatRequest
from intellirouter.chat.response import ChatResponse
from intellirouter.config.schema.groups import EnsembleSection
from intellirouter.errors import IntelliRouterError, UpstreamError, UpstreamUnavailable
from intellirouter.inference.groups import judging
from intellirouter.inference.groups.answers import most_alike, most_votes, text_of, winner
from intellirouter.inference.groups.asking import Asking

Answer = tuple[ChatResponse, dict[str, Any]]
"""An answer, and the note of who gave it."""


async def answers(
    asking: Asking, section: EnsembleSection, request: ChatRequest, *, at_once: bool = True
) -> list[Answer]:
    """What the members answered: all of them, or as many as suffice. Members get no tools.

    Where they are not asked `at_once`, one is asked after the other until the quorum is there. Raises when fewer than the quorum answered (`_too_few`).
    """
    quorum = section.quorum or (1 if section.merge == "first" else len(section.members) // 2 + 1)
    plain = request.changed(tools=(), tool_choice=None, n=None, stream=False)
    got: dict[int, Answer] = {}
    failures: list[tuple[str, IntelliRouterError]] = []
    if not at_once:
        return await _in_turn(asking, section, plain, quorum)
    running = {
        asyncio.create_task(_member(asking, plain.routed(model=name))): place
        for place, name in enumerate(section.members)
    }
    loop = asyncio.get_running_loop()
    until: float | None = None
    try:
        while running:
            wait = None if until is None else max(0.0, until - loop.time())
            done, _ = await asyncio.wait(running, timeout=wait, return_when=asyncio.FIRST_COMPLETED)
            if not done:
                break  # the grace is over
            for task in done:
                place = running.pop(task)
                try:
                    got[place] = task.result()
                except IntelliRouterError as error:
                    failures.append((section.members[place], error))
            in_order = [got[place] for place in sorted(got)]
            if got and _decided(section, in_order):
                return in_order
            if len(got) >= quorum and until is None:
                until = loop.time() + section.grace_seconds
    finally:
        for task in running:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*running, return_exceptions=True)
    if len(got) < quorum:
        raise _too_few(asking, section, len(got), quorum, failures)
    return [got[place] for place in sorted(got)]


async def _in_turn(
    asking: Asking, section: EnsembleSection, request: ChatRequest, quorum: int
) -> list[Answer]:
    got: list[Answer] = []
    failures: list[tuple[str, IntelliRouterError]] = []
    for name in section.members:
        try:
            got.append(await _member(asking, request.routed(model=name)))
        except IntelliRouterError as error:
            failures.append((name, error))
        if len(got) >= quorum and (section.merge != "vote" or _decided(section, got)):
            break
    if len(got) < quorum:
        raise _too_few(asking, section, len(got), quorum, failures)
    return got


async def first_of(asking: Asking, members: Sequence[str], request: ChatRequest) -> Answer:
    """The answer of the first member that gives one, with everything the request asks for. Raises the last one's error."""
    for place, name in enumerate(members):
        try:
            response = await asking.ask(request.routed(model=name), "answer")
        except IntelliRouterError:
            if place == len(members) - 1:
                raise
        else:
            return response, asking.told[-1]
    raise AssertionError("an ensemble has members")


def _too_few(
    asking: Asking,
    section: EnsembleSection,
    got: int,
    quorum: int,
    failures: Sequence[tuple[str, IntelliRouterError]],
) -> IntelliRouterError:
    """What the caller hears: what the first said where it was the caller's with all of them, or where asking again helps with none."""
    errors = [error for _, error in failures]
    own = [error for error in errors if not isinstance(error, UpstreamError)]  # a limit of the caller's
    if errors and (not any(one.retryable for one in errors) or len(own) == len(errors)):
        return errors[0]
    told = "; ".join(f"{name}: {error.message}" for name, error in failures)
    return UpstreamUnavailable(
        f"{got} of {len(section.members)} members of '{asking.group}' answered, and {quorum} are needed: {told[:600]}"
    )


async def _member(asking: Asking, request: ChatRequest) -> Answer:
    place = len(asking.told)
    response = await asking.ask(request, "member")
    return response, asking.told[place]


def _decided(section: EnsembleSection, got: list[Answer]) -> bool:
    """Whether more answers can change nothing."""
    if section.merge == "first":
        return True
    texts = [text_of(response) for response, _ in got]
    return section.merge == "vote" and winner(texts, len(section.members)) is not None


async def pick(asking: Asking, section: EnsembleSection, request: ChatRequest, got: list[Answer]) -> Answer:
    """The answer that is taken, for every merge but synthesis."""
    texts = [text_of(response) for response, _ in got]
    if section.merge == "first" or len(got) == 1:
        return got[0]
    if section.merge == "vote":
        return got[most_votes(texts)]
    if section.merge == "judge" and section.judge is not None:
        return got[await _judged(asking, section.judge, request, texts)]
    return got[most_alike(texts)]


async def _judged(asking: Asking, judge: str, request: ChatRequest, texts: list[str]) -> int:
    """The place the judge names; where it names none, that of the answer most like the others."""
    order = list(range(len(texts)))
    random.shuffle(order)  # no answer is preferred for its place
    try:
        said = await asking.ask(judging.to_choose(request, [texts[place] for place in order], judge), "judge")
    except IntelliRouterError:
        return most_alike(texts)
    place = judging.chosen(text_of(said), len(order))
    return most_alike(texts) if place is None else order[place]
