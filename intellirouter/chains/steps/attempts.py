"""One effect to its outcome: cache, attempts with a deadline each, fallback.

An outcome is data, `{"ok": value}` or `{"error": {"code", "message"}}`, so that a runtime records failures too and a
run that is taken over does not try again what had failed for good.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import msgspec
import structlog
from tenacity import AsyncRetrying, Future, RetryCallState, retry_if_result, stop_after_attempt

from intellirouter.chains.interpreter import Outcome
from intellirouter.chains.model import Retry, Step
from intellirouter.chains.ports import Listener, Ports, Ticket
from intellirouter.chains.schema import MAX_RESULT
from intellirouter.chains.spending import Account, StepCostExceeded
from intellirouter.chains.steps.table import EFFECTS
from intellirouter.chains.timing import Deadline
from intellirouter.errors import AnswerTooLong, IntelliRouterError, KeyEnded
from intellirouter.security.caller import ANONYMOUS, Caller
from intellirouter.telemetry.tracing.span import Tracer, within

TOO_LARGE = "result_too_large"
MAX_CACHED = 1_000
FETCHING = frozenset({"http", "tool"})
"""Kinds whose bytes are bounded where they are fetched."""
MAX_SHOWN = 4_000  # bytes of JSON of a step's input that are kept with its result

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Cache:
    """Results by what their owner may, step kind and rendered tables, the least recently used given up first."""

    enabled: bool = True
    clock: Callable[[], float] = time.monotonic
    _entries: OrderedDict[bytes, tuple[float, Any]] = field(default_factory=OrderedDict)

    def get(self, key: bytes) -> Any:
        """The value while it is fresh, else None."""
        entry = self._entries.get(key)
        if entry is None or entry[0] < self.clock():
            return None
        self._entries.move_to_end(key)
        return entry[1]

    def put(self, key: bytes, value: Any, seconds: float) -> None:
        """Keep a value for some seconds."""
        self._entries[key] = (self.clock() + seconds, value)
        self._entries.move_to_end(key)
        while len(self._entries) > MAX_CACHED:
            self._entries.popitem(last=False)


async def nobody(_run_id: str) -> Caller:
    """The owner of every run where there are no keys."""
    return ANONYMOUS


Refusal = Callable[[Step, str, Mapping[str, Any], str], Awaitable[str | None]]
"""Why a step may not run, of its path, its table and its run; None where it may."""


@dataclass(slots=True)
class Worker:
    """Runs effects for one runtime. `acting` tells in whose name a run acts now; it raises `KeyEnded` where that is nobody.

    `followed` says whether somebody listens to a run, so that models' words are told as they come. `refusal` is asked before every step and says why it may not run.
    """

    ports: Ports
    cache: Cache = field(default_factory=Cache)
    tracer: Tracer | None = None
    acting: Callable[[str], Awaitable[Caller]] = nobody
    refusal: Refusal | None = None
    followed: Callable[[str], Awaitable[bool]] | None = None

    async def run(
        self, step: Step, path: str, prepared: Mapping[str, Any], run_id: str, hear: Listener
    ) -> Outcome:
        """The outcome of a step. Only cancellation and bugs get out as exceptions."""
        if self.tracer is None:
            return await self._in_time(step, path, prepared, run_id, hear)
        facts = {"intellirouter.run": run_id, "intellirouter.step": path}
        with within(self.tracer.part_of(run_id, f"step {step.kind}", facts)) as span:
            outcome = await self._in_time(step, path, prepared, run_id, hear)
            if "error" in outcome:
                span.end(outcome["error"]["code"])
            return outcome

    async def _in_time(
        self, step: Step, path: str, prepared: Mapping[str, Any], run_id: str, hear: Listener
    ) -> Outcome:
        """The outcome, within what is left to the steps around it. It says when it began, and whose time was over."""
        deadline: Deadline | None = prepared.get("deadline")
        if deadline is None:
            return await self._run(step, path, prepared, run_id, hear)
        began, account = time.time(), Account(path, prepared.get("purse"))
        deadline.begin(began)
        try:
            if (left := deadline.left()) <= 0:
                raise TimeoutError
            async with asyncio.timeout(left):
                outcome = await self._run(step, path, prepared, run_id, hear, account)
        except TimeoutError:
            outcome = {"error": deadline.first().error()}
            facts = {"kind": step.kind, "seconds": time.time() - began, "cached": False}
            hear("step_failed", path, {**facts, **outcome})
            about = {"cached": False, "input": _shown(prepared["spec"]), "over": deadline.first().at}
            outcome["about"] = about | ({"spent_usd": account.usd} if account.usd else {})
        return {**outcome, "about": {**outcome["about"], "began": began}}

    async def _run(
        self,
        step: Step,
        path: str,
        prepared: Mapping[str, Any],
        run_id: str,
        hear: Listener,
        account: Account | None = None,
    ) -> Outcome:
        began = time.perf_counter()
        hear("step_started", path, {"kind": step.kind})
        tries, fell = 0, False

        def heard(event: str, path: str, facts: Mapping[str, Any]) -> None:
            nonlocal tries, fell
            tries += event == "step_try"
            fell = fell or event == "step_fallback"
            if event != "step_try":
                hear(event, path, facts)

        told = _shown(prepared["spec"])
        if self.refusal is not None and (reason := await self.refusal(step, path, prepared["spec"], run_id)):
            outcome = _error("denied_by_policy", reason)
            hear(
                "step_failed",
                path,
                {"kind": step.kind, "seconds": time.perf_counter() - began, "cached": False, **outcome},
            )
            return {**outcome, "about": {"attempts": 0, "cached": False, "input": told}}
        account = account or Account(path, prepared.get("purse"))
        key = await self._cache_key(step, prepared, run_id) if step.cache and self.cache.enabled else b""
        if key and (kept := self.cache.get(key)) is not None:
            outcome, cached = {"ok": kept}, True
        else:
            outcome, cached = await self._fresh(step, path, prepared, run_id, heard, account), False
            if key and "ok" in outcome and step.cache:
                self.cache.put(key, outcome["ok"], step.cache)
        facts = {"kind": step.kind, "seconds": time.perf_counter() - began, "cached": cached}
        hear("step_failed" if "error" in outcome else "step_finished", path, {**facts, **outcome})
        about = {"attempts": tries, "cached": cached, "input": told}
        if fell:
            about["fallback"] = True
        if account.purse is not None or account.usd != _cost(outcome):
            about["spent_usd"] = account.usd
        return {**outcome, "about": about}

    async def _cache_key(self, step: Step, prepared: Mapping[str, Any], run_id: str) -> bytes:
        """The same only for the same step of an owner who may just as much. Empty where that is nobody: the step will say so."""
        try:
            caller = await self.acting(run_id)
        except IntelliRouterError:
            return b""
        return msgspec.json.encode([caller.reach(), step.kind, prepared["spec"], prepared.get("fallback")])

    async def _fresh(
        self,
        step: Step,
        path: str,
        prepared: Mapping[str, Any],
        run_id: str,
        hear: Listener,
        account: Account,
    ) -> Outcome:
        outcome = await self._attempts(step, account, prepared["spec"], run_id, f"{run_id}/{path}", hear)
        if "error" in outcome and step.fallback is not None:
            hear("step_fallback", path, outcome["error"])
            outcome = await self._attempts(
                step.fallback,
                account,
                prepared["fallback"]["spec"],
                run_id,
                f"{run_id}/{path}/fallback",
                hear,
            )
        return outcome

    async def _attempts(
        self, step: Step, account: Account, spec: dict[str, Any], run_id: str, key: str, hear: Listener
    ) -> Outcome:
        path = account.path

        def again(state: RetryCallState) -> None:
            hear("step_retry", path, {"attempt": state.attempt_number, **_last(state)[0]["error"]})

        def words(text: str) -> None:
            hear("step_tokens", path, {"text": text})

        live = step.kind == "llm" and self.followed is not None and await self.followed(run_id)
        tell = words if live else None

        async def once() -> tuple[Outcome, bool]:
            hear("step_try", path, {})
            return await self._once(step, spec, run_id, key, tell, account)

        if step.retry.attempts == 1:  # what retries costs more than the rest of a step
            return (await once())[0]
        attempts = AsyncRetrying(
            sleep=asyncio.sleep,
            stop=stop_after_attempt(step.retry.attempts),
            wait=lambda state: backoff(step.retry, state.attempt_number, random.random()),  # noqa: S311  jitter, not a secret
            retry=retry_if_result(lambda found: found[1]),
            before_sleep=again,
            retry_error_callback=_last,
        )
        found: tuple[Outcome, bool] = await attempts(once)
        return found[0]

    async def _once(
        self,
        step: Step,
        spec: dict[str, Any],
        run_id: str,
        key: str,
        tell: Callable[[str], None] | None,
        account: Account,
    ) -> tuple[Outcome, bool]:
        try:
            async with asyncio.timeout(step.timeout):
                caller = await self.acting(run_id)
                ticket = Ticket(key, step.timeout, caller, tell, step.limits.bytes, account)
                value = await EFFECTS[step.kind](spec, self.ports, ticket)
        except TimeoutError:
            return _error("timeout", f"No answer within {step.timeout:g} s."), matches(
                step.retry, "timeout", 504
            )
        except (KeyEnded, StepCostExceeded) as error:  # for good, whatever the step would try again
            return _error(error.code, error.message), False
        except AnswerTooLong as error:  # asked again, it would be no shorter
            return _error(TOO_LARGE if step.limits.bytes else error.code, error.message), False
        except IntelliRouterError as error:
            upstream = getattr(error, "upstream_status", None) or error.status
            return _error(error.code, error.message), matches(step.retry, error.code, upstream)
        bound = MAX_RESULT if step.kind in FETCHING else step.limits.bytes or MAX_RESULT
        if (size := len(msgspec.json.encode(value))) > bound:
            return _error(TOO_LARGE, f"The step gave {size:,} bytes; at most {bound:,} are allowed."), False
        return {"ok": value}, False


def _shown(spec: Mapping[str, Any]) -> Any:
    """What a step was asked, for whoever looks at the run: without headers, which may hold secrets, and not longer than a page."""
    told = {name: value for name, value in spec.items() if name != "headers"}
    text = msgspec.json.encode(told)
    return told if len(text) <= MAX_SHOWN else text[:MAX_SHOWN].decode("utf-8", "ignore") + " …"


def _cost(outcome: Outcome) -> float:
    """What the result says that it cost."""
    value = outcome.get("ok")
    return float(value.get("cost_usd") or 0.0) if isinstance(value, dict) else 0.0


def _last(state: RetryCallState) -> tuple[Outcome, bool]:
    """What the last attempt came to."""
    found: tuple[Outcome, bool] = cast("Future", state.outcome).result()
    return found


def backoff(retry: Retry, attempt: int, chance: float) -> float:
    """Seconds before the next attempt: exponential, capped, between half and whole of it (`chance` in 0..1)."""
    whole = float(min(retry.max, retry.delay * retry.factor ** (attempt - 1)))
    return whole * (0.5 + chance / 2)


def matches(retry: Retry, code: str, status: int) -> bool:
    """Whether an error is worth another attempt: its code, its status, its class of status, or a family of codes."""
    families = {"timeout": "timeout" in code, "rate_limit": status == 429, "any": True}
    return any(
        name in (code, str(status), f"{status // 100}xx") or families.get(name, False)
        for name in retry.errors
    )


def _error(code: str, message: str) -> Outcome:
    return {"error": {"code": code, "message": message}}
