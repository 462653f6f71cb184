"""Starts the run of an occurrence: once, in the name of the trigger's owner, and not too often."""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
import structlog

from intellirouter.bounds.aside import ASIDE
from intellirouter.bounds.kept import BoundedMap
from intellirouter.chains import expr
from intellirouter.errors import IntelliRouterError, InvalidRequest, RateLimited
from intellirouter.roles.chain_engine.store import RunRow, plain
from intellirouter.roles.chain_engine.triggers.store import Trigger, TriggerStore

if TYPE_CHECKING:
    from intellirouter.roles.chain_engine.service import ChainService

MAX_DEPTH = 8
"""Runs that started one another: the next one is not started."""
DEFAULT_PER_MINUTE = 60
MINUTE = 60.0
_KEPT = 10_000
_WHOLE = re.compile(r"\s*\{\{((?:(?!\{\{|\}\}).){1,10000})\}\}\s*", re.DOTALL)
_TOLD_SECONDS = 30.0
"""Between two notes of the time at which a trigger last fired."""

log = structlog.get_logger(__name__)


class TooDeep(IntelliRouterError):
    """Runs start one another in a circle, or nearly."""

    code = "trigger_loop"
    status = 409


@dataclass(slots=True)
class Firing:
    """One a node."""

    service: ChainService
    store: TriggerStore
    _starts: BoundedMap[tuple[str, str], deque[float]] = field(
        default_factory=lambda: BoundedMap(entries=_KEPT, weight=_KEPT)
    )

    async def fire(
        self, trigger: Trigger, occurrence: str, event: Mapping[str, Any], depth: int = 0
    ) -> tuple[RunRow, bool]:
        """The run of an occurrence; true when it is new.

        Raises what a start raises, `KeyEnded` where the owner may not any more, `RateLimited` beyond the trigger's own bound, `TooDeep`.
        """
        try:
            row, new = await self._started(trigger, occurrence, event, depth)
        except IntelliRouterError as error:
            log.warning(
                "chain.trigger_failed", trigger=trigger.name, tenant=trigger.tenant, reason=error.message
            )
            if error.message[:500] != trigger.problem:
                await self._note(trigger, problem=error.message[:500])
            raise
        if new:
            log.info("chain.trigger_fired", trigger=trigger.name, run_id=row.run_id)
        if trigger.problem or time.time() - (trigger.fired or 0.0) > _TOLD_SECONDS:
            await self._note(trigger, problem=None, fired=time.time())
        return row, new

    async def _started(
        self, trigger: Trigger, occurrence: str, event: Mapping[str, Any], depth: int
    ) -> tuple[RunRow, bool]:
        if depth > MAX_DEPTH:
            raise TooDeep(
                f"{MAX_DEPTH} runs have started one another already: '{trigger.name}' starts no further one."
            )
        run_id, told = run_of(trigger, occurrence), trigger.settings()
        if await asyncio.to_thread(self.service.store.run, run_id, trigger.tenant) is None:
            self._admit(trigger, told.get("max_per_minute", DEFAULT_PER_MINUTE))
        caller = await self.service.authority.caller_of(trigger.owner())
        inputs = await self._inputs(trigger, event)
        if trigger.inputs is None:  # of what came, that which the chain takes
            chosen = await self.service.library.chosen(caller, trigger.chain, run_id)
            inputs = {name: value for name, value in inputs.items() if name in chosen.chain.inputs}
        return await self.service.start(
            caller,
            trigger.chain,
            inputs,
            run_id,
            queue=told.get("queue"),
            priority=told.get("priority"),
            depth=depth,
        )

    def _admit(self, trigger: Trigger, most: int) -> None:
        key, now = (trigger.tenant, trigger.name), time.monotonic()
        starts = self._starts.get(key)
        if starts is None:
            starts = deque()
            self._starts.put(key, starts, 1)
        while starts and starts[0] <= now - MINUTE:
            starts.popleft()
        if len(starts) >= most:
            raise RateLimited(
                f"The trigger '{trigger.name}' starts at most {most} runs a minute (max_per_minute).",
                retry_after=max(1.0, starts[0] + MINUTE - now),
            )
        starts.append(now)

    async def _inputs(self, trigger: Trigger, event: Mapping[str, Any]) -> dict[str, Any]:
        if trigger.inputs is None:
            return given(event)
        wanted = msgspec.json.decode(trigger.inputs)
        try:
            made: dict[str, Any] = await ASIDE.soon(trigger.tenant, lambda: filled(wanted, {"event": event}))
        except expr.BadExpression as error:
            raise InvalidRequest(
                f"The inputs of the trigger '{trigger.name}': {error.message}", param="input"
            ) from error
        return made

    async def _note(self, trigger: Trigger, **values: Any) -> None:
        await asyncio.to_thread(lambda: self.store.change(trigger.tenant, trigger.name, **values))


def run_of(trigger: Trigger, occurrence: str) -> str:
    """The id of an occurrence's run. A trigger that was deleted and made anew is another one."""
    named = f"{plain(trigger.tenant)}/{plain(trigger.name)}/{trigger.created}/{occurrence}"
    return f"run_{hashlib.sha256(named.encode()).hexdigest()[:24]}"


def given(event: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs where the trigger names none: what came, as far as it has names."""
    for name in ("body", "data", "output"):
        if isinstance(event.get(name), dict):
            return dict(event[name])
    return dict(event)


def filled(value: Any, names: Mapping[str, Any]) -> Any:
    """A template of inputs filled in. A text that is one `{{ … }}` gives its value as it is, any other a text."""
    if isinstance(value, dict):
        return {key: filled(inner, names) for key, inner in value.items()}
    if isinstance(value, list):
        return [filled(inner, names) for inner in value]
    if not isinstance(value, str):
        return value
    whole = _WHOLE.fullmatch(value)
    return expr.evaluate(whole[1], names) if whole else expr.render(value, names)


def check_inputs(value: Any) -> None:
    """Raises `InvalidRequest` for a template that does not read, or reads something else than `event`."""
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            check_inputs(inner)
    elif isinstance(value, str) and "{" in value:
        try:
            names, *_ = expr.references(value)
        except expr.BadExpression as error:
            raise InvalidRequest(f"'input': {error.message}", param="input") from error
        if strange := sorted(names - {"event"}):
            raise InvalidRequest(
                f"'input' reads '{strange[0]}'; a trigger knows only 'event'.", param="input"
            )
