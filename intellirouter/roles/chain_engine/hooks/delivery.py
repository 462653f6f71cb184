"""Delivers what the outbox holds: at least once under one id, again after a failure, until it is given up."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import sqlalchemy as sa
import structlog

from intellirouter.config.schema.chain_engine import ChainHook
from intellirouter.errors import IntelliRouterError
from intellirouter.roles.chain_engine.hooks.notices import Notices
from intellirouter.roles.chain_engine.hooks.outbox import MAX_KEPT, Delivery, Outbox
from intellirouter.security.webhook_signing import signed
from intellirouter.transport.outgoing.door import Answered, Ask, OutgoingDoor

LOOK_SECONDS = 1.0
AT_ONCE = 20
"""Runs that are told side by side, of one hook."""
FIRST_DELAY, LONGEST_DELAY = 1.0, 3600.0
NOT_YET = 1.0
"""Seconds after which a run that has not ended yet is looked at again."""

log = structlog.get_logger(__name__)

Told = Callable[[Sequence[str]], Awaitable[dict[str, dict[str, Any]]]]
"""What is told of runs, by their id: those alone that have ended."""


Judge = Callable[[str, str, bytes, Sequence[Mapping[str, Any]]], Awaitable[None]]
"""Hears an evaluation: the hook, the run, what was answered, and the run's steps."""


async def _nothing(_run_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    return {}


@dataclass(slots=True)
class Hooks:
    """One a node. `told` is set once the service stands; `look` says how often the outbox is looked at, in seconds."""

    hooks: dict[str, ChainHook]
    outbox: Outbox
    door: OutgoingDoor
    judge: Judge
    told: Told = _nothing
    notices: Notices | None = None
    look: float = LOOK_SECONDS
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def told_of_runs(self) -> bool:
        """Whether any hook is told of runs."""
        return any(hook.hears_ends for hook in self.hooks.values())

    def wanted(self, chain: str, tenant: str) -> list[str]:
        """The hooks that are told of a run."""
        return [name for name, hook in self.hooks.items() if hook.hears_ends and hook.concerns(chain, tenant)]

    async def ended(self, run_id: str, chain: str, tenant: str) -> None:
        """A run comes to its end: write down who is to be told. Said again, it changes nothing."""
        if names := self.wanted(chain, tenant):
            await asyncio.to_thread(self.outbox.add, names, run_id, tenant)
            self._news.set()

    async def run(self) -> None:
        """Deliver, until cancelled."""
        heard = [name for name, hook in self.hooks.items() if hook.kind != "govern"]
        if not heard:
            return
        while True:
            self._news.clear()
            try:
                if self.notices is not None:
                    await self.notices.note()
                more = [await self.deliver(name) for name in heard]
            except sa.exc.SQLAlchemyError as error:  # the database is away: look again
                log.warning("chain.hooks_wait", error=type(error).__name__)
                more = []
            if any(more):
                continue
            try:
                async with asyncio.timeout(self.look):
                    await self._news.wait()
            except TimeoutError:
                continue

    async def deliver(self, name: str) -> bool:
        """What is due of one hook; true when something was taken."""
        hook, now = self.hooks[name], time.time()
        batch = hook.kind == "optimise"
        if batch:
            count, since = await asyncio.to_thread(self.outbox.waiting, name, now)
            if not count or (count < hook.batch_size and now - since < hook.flush_interval):
                return False
        most = hook.batch_size if batch else AT_ONCE
        until = now + 2 * hook.timeout_seconds + 10
        taken = await asyncio.to_thread(self.outbox.claim, name, now, until, most)
        if not taken:
            return False
        if hook.kind == "notify":
            await asyncio.gather(*(self._noticed(name, hook, each) for each in taken))
            return True
        told = await self.told([delivery.run_id for delivery in taken])
        ended = [delivery for delivery in taken if delivery.run_id in told]
        early = [delivery for delivery in taken if delivery.run_id not in told]
        for (
            delivery
        ) in early:  # its end is recorded in a moment; one that was deleted meanwhile is given up in time
            await self._settled([delivery], hook, delivery.attempts, "The run has not ended.", wait=NOT_YET)
        if batch and ended:
            await self._sent(name, hook, ended, told)
        elif ended:
            await asyncio.gather(*(self._sent(name, hook, [delivery], told) for delivery in ended))
        return bool(ended)

    async def _noticed(self, name: str, hook: ChainHook, one: Delivery) -> None:
        """Tell of a run that waits, where it still does."""
        document = None if self.notices is None else await self.notices.told(one)
        if document is None:  # it was answered meanwhile, or its time is over
            await self._delivered([one.id], one.attempts, None)
            return
        answer = await self._posted(name, hook, [one], one.id, document)
        if answer is not None:
            await self._delivered([one.id], one.attempts + 1, None)

    async def _evaluated(self, hook: ChainHook, one: Delivery, answer: bytes, told: dict[str, Any]) -> None:
        """Pass on what was answered; it is kept, so that the hook is not asked again where only that fails."""
        attempts = one.attempts + 1
        try:
            await self.judge(one.hook, one.run_id, answer, told["steps"])
        except IntelliRouterError as error:
            if error.status < 500 and error.status != 429:
                log.warning(
                    "chain.evaluation_not_learnt", hook=one.hook, run_id=one.run_id, reason=error.message
                )
                await self._delivered([one.id], attempts, answer)
                return
            reason = f"The Router could not be told the score: {error.message}"
            await self._settled([one], hook, attempts, reason, answer=answer)
            return
        await self._delivered([one.id], attempts, answer)

    async def _delivered(self, ids: Sequence[str], attempts: int, answer: bytes | None) -> None:
        await asyncio.to_thread(
            lambda: self.outbox.settle(
                ids, "delivered", attempts=attempts, after=0.0, error=None, answer=answer
            )
        )

    async def _sent(
        self, name: str, hook: ChainHook, taken: list[Delivery], told: dict[str, dict[str, Any]]
    ) -> None:
        if hook.kind == "evaluate" and (kept := taken[0].answer) is not None:
            await self._evaluated(hook, taken[0], kept, told[taken[0].run_id])
            return
        if hook.kind == "optimise":
            items = [{"id": each.id, **told[each.run_id]} for each in taken]
            document: dict[str, Any] = {"type": "telemetry.batch", "items": items}
            digest = hashlib.sha256("/".join(each.id for each in taken).encode()).hexdigest()
            number = f"whb_{digest[:24]}"
        else:
            document = {"type": "run.ended", "data": told[taken[0].run_id]}
            number = taken[0].id
        answer = await self._posted(name, hook, taken, number, document)
        if answer is None:
            return
        attempts = max(each.attempts for each in taken) + 1
        said = _document(answer.body) if hook.kind == "evaluate" else None
        if said is not None:
            await self._evaluated(hook, taken[0], said, told[taken[0].run_id])
        else:
            await self._delivered([each.id for each in taken], attempts, None)

    async def _posted(
        self, name: str, hook: ChainHook, taken: list[Delivery], number: str, document: dict[str, Any]
    ) -> Answered | None:
        """What the hook answered; None where it did not take it, which is written down."""
        body = msgspec.json.encode({"id": number, "hook": name, **document})
        headers = {
            "content-type": "application/json",
            **signed(hook.secret.get_secret_value(), number, time.time(), body),
        }
        ask = Ask(
            hook.url, "POST", headers, body, seconds=hook.timeout_seconds, max_bytes=MAX_KEPT, trusted=True
        )
        attempts = max(each.attempts for each in taken) + 1
        try:
            answer = await self.door.send(ask)
        except IntelliRouterError as error:
            await self._settled(taken, hook, attempts, error.message)
            return None
        if answer.status >= 300:
            await self._settled(taken, hook, attempts, f"It answered {answer.status}.")
            return None
        return answer

    async def _settled(
        self,
        taken: list[Delivery],
        hook: ChainHook,
        attempts: int,
        error: str,
        wait: float | None = None,
        answer: bytes | None = None,
    ) -> None:
        over = attempts >= hook.max_attempts or (
            wait is not None and time.time() - taken[0].created > LONGEST_DELAY
        )
        delay = wait if wait is not None else min(FIRST_DELAY * 2 ** (attempts - 1), LONGEST_DELAY)
        ids = [each.id for each in taken]
        if over:
            log.warning("chain.hook_given_up", hook=taken[0].hook, deliveries=len(ids), reason=error)
        await asyncio.to_thread(
            lambda: self.outbox.settle(
                ids,
                "dead" if over else "pending",
                attempts=attempts,
                after=time.time() + delay,
                error=error[:500],
                answer=answer,
            )
        )


def _document(body: bytes) -> bytes | None:
    """What an evaluation says, where it is a JSON object."""
    try:
        found = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return None
    return msgspec.json.encode(found) if isinstance(found, dict) else None
