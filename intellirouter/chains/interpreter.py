"""Walks a chain. It does no I/O and knows no clock: its host runs effects, branches and waits.

Every effect is rendered first (pure, cheap) and then handed to the host, which may record its outcome under the
next number and never run it again. Given the same recorded outcomes, the walk is the same.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import msgspec

from intellirouter.bounds.aside import ASIDE
from intellirouter.bounds.schemas import BadSchema, schema
from intellirouter.bounds.values import TooLarge, weight
from intellirouter.chains import expr
from intellirouter.chains.agent import AgentSpent, TurnFailed, converse
from intellirouter.chains.model import Chain, Step
from intellirouter.chains.plan import body_width
from intellirouter.chains.sandbox import kind_of
from intellirouter.chains.schema import ABOUT, ASKING, EFFECTS
from intellirouter.chains.spending import purse, spending
from intellirouter.chains.timing import TimeIsUp, capped, deadline, timing, waited
from intellirouter.chains.timing import told as in_time
from intellirouter.errors import IntelliRouterError, InvalidRequest, KeyEnded

T = TypeVar("T")

MAX_WORK = 150_000_000
"""Units of work (`bounds.fuel`) that the expressions of one run may burn: about fifteen seconds."""
MAX_KEPT = 64_000_000
"""What the results of all steps of one run may weigh (`bounds.values`)."""

Names = dict[str, Any]
Outcome = dict[str, Any]


class StepFailed(IntelliRouterError):
    """A step failed and the chain with it. `details` hold the step's path and the cause's code."""

    code = "step_failed"
    status = 422


class Host(Protocol):
    """What a runtime does for the walk."""

    async def effect(self, step: Step, path: str, prepared: Any) -> Outcome:
        """Run a prepared step once: `{"ok": value}`, or `{"error": {"code", "message"}}`."""

    async def wait(
        self, path: str, signal: str, within: float | None, about: Mapping[str, Any]
    ) -> tuple[Any, float]:
        """The payload of a signal, None when it did not come in time; and when the walk first came here (Unix time).

        `about` is what whoever is asked is told.
        """

    async def sleep(self, path: str, seconds: float) -> Outcome:
        """Return so many seconds after the walk first came here, or sooner where a `deadline` comes first: its outcome says so."""

    async def concurrently(
        self, branches: Sequence[Callable[[Host], Awaitable[Any]]], widths: Sequence[int], limit: int | None
    ) -> list[Any]:
        """Run the branches beside one another, each with a host of its own; the first error ends all."""


@dataclass(slots=True)
class _Budget:
    """What is left of a run's work and of the weight of its results."""

    work: int = MAX_WORK
    kept: int = MAX_KEPT

    def burned(self, units: int) -> None:
        """Take the work off."""
        self.work -= units

    def count(self, value: T) -> T:
        """The result, counted. Raises `StepFailed`."""
        try:
            self.kept -= weight(value, MAX_KEPT)
        except TooLarge as error:
            raise StepFailed(error.message, cause=error.code) from error
        if self.kept < 0:
            raise StepFailed(
                f"The results of this run weigh more than {MAX_KEPT:,} characters.", cause="run_too_large"
            )
        return value


@dataclass(frozen=True, slots=True)
class Walk:
    """One run's way through a chain. `prepare` turns a step's templates into what its effect needs.

    Expressions that are little are evaluated at once, the others in a thread in the turn of `owner`.
    """

    chains: Mapping[str, Chain]
    run: Mapping[str, Any]
    owner: str = ""
    _budget: _Budget = field(default_factory=lambda: _Budget())

    async def chain(self, chain: Chain, inputs: Mapping[str, Any], host: Host, path: str = "") -> Any:
        """Run a chain to its output. Raises `StepFailed`, or `InvalidRequest` for inputs that do not fit."""
        given = await self._work(lambda: checked_inputs(chain, inputs))
        names: Names = {"input": self._budget.count(given), "run": dict(self.run), "steps": {}}
        await self._body(chain.steps, names, host, path)
        if chain.output is None:
            return names["steps"]
        try:
            return self._budget.count(await self._evaluated(chain.output, names))
        except expr.BadExpression as error:
            raise StepFailed(f"The output of '{chain.name}': {error.message}", cause=error.code) from error

    async def _work(self, job: Callable[[], T]) -> T:
        """Do what is pure, at once or in a thread, out of the run's budget."""
        budget = self._budget
        if budget.work <= 0:
            raise StepFailed(
                "The expressions of this run took all the work that one run may do.", cause="too_much_work"
            )
        return await ASIDE.soon(self.owner or str(self.run.get("id", "")), job, told=budget.burned)

    async def _evaluated(self, source: Any, names: Names) -> Any:
        return await self._work(lambda: expr.evaluate_all(source, names))

    async def _body(self, steps: Sequence[Step], names: Names, host: Host, path: str) -> dict[str, Any]:
        """Run steps in order; `names["steps"]` grows. Returns what this body's steps gave."""
        given = {}
        for step in steps:
            at = f"{path}.{step.id}" if path else step.id
            try:
                skipped = step.when is not None and not await self._evaluated(step.when, names)
                value = None if skipped else await self._step(step, names, host, at)
            except KeyEnded:  # nobody is left in whose name the run could go on
                raise
            except IntelliRouterError as error:
                if isinstance(error, TimeIsUp):  # of a step around this one
                    raise
                if not step.proceed:
                    raise _located(error, at) from error
                value = {"error": _told(error, at)}
            given[step.id] = names["steps"][step.id] = value
        return given

    async def _step(self, step: Step, names: Names, host: Host, at: str) -> Any:
        with spending(at, step.limits.cost):
            value = await self._within(step, names, host, at)
        most = step.limits.bytes
        if most is not None and step.kind not in EFFECTS:  # of the others the worker looks
            size = await self._work(lambda: len(msgspec.json.encode(value)))
            if size > most:
                raise StepFailed(
                    f"The step gave {size:,} bytes; at most {most:,} are allowed.",
                    cause="result_too_large",
                    path=at,
                )
        return value

    async def _within(self, step: Step, names: Names, host: Host, at: str) -> Any:
        """The step, in its time. What has no attempts of its own may have a fallback all the same."""
        try:
            with timing(at, step.within):
                return await self._taken(step, names, host, at)
        except KeyEnded:
            raise
        except TimeIsUp as error:
            if error.owner != at:
                raise
            failure: IntelliRouterError = StepFailed(error.message, cause=error.code, path=at)
        except IntelliRouterError as error:
            failure = error
        if step.fallback is None or step.kind in EFFECTS:
            raise failure
        return await self._effect(step.fallback, names, host, f"{at}.fallback")

    async def _taken(self, step: Step, names: Names, host: Host, at: str) -> Any:
        match step.kind:
            case "set":
                return self._budget.count(await self._evaluated(step.spec, names))
            case "switch":
                return await self._switch(step, names, host, at)
            case "parallel":
                return await self._parallel(step, names, host, at)
            case "map":
                return await self._map(step, names, host, at)
            case "loop":
                return await self._loop(step, names, host, at)
            case "chain":
                inputs = await self._evaluated(step.spec.get("input", {}), names)
                return await self.chain(self.chains[step.spec["name"]], inputs, host, at)
            case "wait":
                return self._budget.count(await self._wait(step, names, host, at))
            case "agent":
                return await self._agent(step, names, host, at)
            case "sleep":
                in_time(await host.sleep(at, step.spec["seconds"]))
                return {"slept": step.spec["seconds"]}
        return await self._effect(step, names, host, at)

    async def _agent(self, step: Step, names: Names, host: Host, at: str) -> Any:
        spec = await self._work(lambda: prepare(step, names))

        async def one(asked: Step, path: str, table: dict[str, Any], on: Host) -> Outcome:
            outcome = await self._paid(asked, path, {"spec": table, "fallback": None}, on)
            if outcome.get("error", {}).get("code") == KeyEnded.code:
                raise KeyEnded(outcome["error"]["message"])
            if "ok" in outcome:
                self._budget.count(outcome["ok"])
            return outcome

        async def own(asked: Step, path: str, table: dict[str, Any]) -> Outcome:
            return await one(asked, path, table, host)

        def branch(call: tuple[Step, str, dict[str, Any]]) -> Callable[[Host], Awaitable[Outcome]]:
            return lambda on: one(*call, on)

        async def beside(calls: Sequence[tuple[Step, str, dict[str, Any]]]) -> list[Outcome]:
            return await host.concurrently(
                [branch(call) for call in calls], [1] * len(calls), step.limits.parallelism
            )

        try:
            return await converse(msgspec.structs.replace(step, fallback=None), at, spec["spec"], own, beside)
        except (TurnFailed, AgentSpent) as error:
            cause = error.details.get("cause", error.code)
            if step.fallback is None:
                raise StepFailed(error.message, cause=cause, path=at) from error
            outcome = await own(step.fallback, f"{at}.fallback", spec["fallback"]["spec"])
            if "error" in outcome:
                raise StepFailed(
                    outcome["error"]["message"], cause=outcome["error"]["code"], path=at
                ) from error
            return outcome["ok"]

    async def _paid(self, step: Step, at: str, prepared: dict[str, Any], host: Host) -> Outcome:
        """An effect's outcome; what it spent is counted, also where it was recorded by a walk before this one."""
        held, within = purse(), deadline()
        if held is not None or within is not None:
            prepared = {**prepared, "purse": held, "deadline": within}
        outcome = await host.effect(step, at, prepared)
        if held is not None:
            held.spent(at, outcome.get("about", {}).get("spent_usd", 0.0))
        in_time(outcome)
        return outcome

    async def _effect(self, step: Step, names: Names, host: Host, at: str) -> Any:
        outcome = await self._paid(step, at, await self._work(lambda: prepare(step, names)), host)
        if "ok" in outcome:
            return self._budget.count(outcome["ok"])
        error = outcome["error"]
        if error["code"] == KeyEnded.code:
            raise KeyEnded(error["message"])
        raise StepFailed(error["message"], cause=error["code"], path=at)

    async def _switch(self, step: Step, names: Names, host: Host, at: str) -> Any:
        for branch in step.branches:
            if branch.when is None or await self._evaluated(branch.when, names):
                return await self._body(branch.do, _inner(names), host, at)
        return None

    async def _parallel(self, step: Step, names: Names, host: Host, at: str) -> Any:
        chosen = [
            branch
            for branch in step.branches
            if branch.when is None or await self._evaluated(branch.when, names)
        ]

        def runner(index: int) -> Callable[[Host], Awaitable[Any]]:
            branch = chosen[index]
            return lambda inner: self._body(branch.do, _inner(names), inner, f"{at}[{branch.name}]")

        widths = [body_width(branch.do, self.chains) for branch in chosen]
        results = await host.concurrently(
            [runner(n) for n in range(len(chosen))], widths, step.limits.parallelism
        )
        return {key: value for result in results for key, value in result.items()}

    async def _map(self, step: Step, names: Names, host: Host, at: str) -> Any:
        items, most = await self._evaluated(step.spec["over"], names), step.spec["max_items"]
        if not isinstance(items, list):
            raise StepFailed(
                f"'over' must give a list, not {kind_of(items)}.", cause="bad_expression", path=at
            )
        if len(items) > most:
            raise StepFailed(
                f"'over' gave {len(items)} items; max_items is {most}.", cause="too_many_items", path=at
            )

        def runner(index: int) -> Callable[[Host], Awaitable[Any]]:
            own = {**_inner(names), step.spec["as"]: items[index], "index": index}
            return lambda inner: self._body(step.do, own, inner, f"{at}[{index}]")

        widths = [body_width(step.do, self.chains)] * len(items)
        return await host.concurrently(
            [runner(n) for n in range(len(items))],
            widths,
            step.spec.get("max_parallel", step.limits.parallelism),
        )

    async def _loop(self, step: Step, names: Names, host: Host, at: str) -> Any:
        own, result = _inner(names), {}
        # the first round may ask for what the last one gave
        own["steps"].update(dict.fromkeys((inner.id for inner in step.do), None))
        for index in range(step.spec["max"]):
            own["index"] = index
            result = await self._body(step.do, own, host, f"{at}[{index}]")
            until = step.spec.get("until")
            if until is not None and await self._evaluated(until, own):
                break
        return result

    async def _wait(self, step: Step, names: Names, host: Host, at: str) -> Any:
        timeout, told = step.spec.get("timeout"), {key: step.spec[key] for key in ABOUT if key in step.spec}
        about: dict[str, Any] = await self._work(lambda: expr.render_all(told, names)) if told else {}
        if "form" in step.spec:
            about["form"] = step.spec["form"]
        within, _ = capped(timeout, time.time())
        payload, began = await host.wait(at, step.spec["signal"], within, about)
        sooner = waited(timeout, began)
        if payload is None and sooner is not None:
            raise sooner.passed()
        if payload is None and step.spec.get("on_timeout", "fail") == "fail":
            raise StepFailed(
                f"The signal '{step.spec['signal']}' did not come in time.", cause="timeout", path=at
            )
        return payload


def prepare(step: Step, names: Mapping[str, Any]) -> dict[str, Any]:
    """A step's table with its templates rendered, and its fallback's."""
    spec = {
        key: value if key in ("schema", "labels") and step.kind in ASKING else expr.render_all(value, names)
        for key, value in step.spec.items()
    }
    return {"spec": spec, "fallback": prepare(step.fallback, names) if step.fallback else None}


def checked_inputs(chain: Chain, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs with defaults. Raises `InvalidRequest` that names what is missing, unknown or of the wrong type."""
    problems = [f"'{name}' is not an input" for name in inputs if name not in chain.inputs]
    values = {}
    for name, declared in chain.inputs.items():
        if name not in inputs:
            if declared.required:
                problems.append(f"'{name}' is missing")
            values[name] = declared.default
            continue
        values[name] = inputs[name]
        wrong = _complaint(declared.schema, inputs[name])
        if wrong is not None:
            problems.append(f"'{name}': {wrong[:200]}")
    if problems:
        raise InvalidRequest(
            f"The inputs of '{chain.name}' do not fit: {'; '.join(problems)}.", param="input"
        )
    return values


def _complaint(declared: Mapping[str, Any], value: Any) -> str | None:
    """What does not fit, without the place where it is the whole input that does not."""
    try:
        found = schema(declared).complaint(value)
    except (BadSchema, TooLarge) as error:
        return error.message
    return None if found is None else found.removeprefix("the whole: ")


def _told(error: IntelliRouterError, at: str) -> dict[str, Any]:
    """What a chain that goes on sees of a failed step: `code` is the cause's, so that it can branch on what went wrong."""
    cause = error.details.get("cause", error.code)
    return {"code": cause, "message": error.message, "step": error.details.get("step", at)}


def _inner(names: Names) -> Names:
    return {**names, "steps": dict(names["steps"])}


def _located(error: IntelliRouterError, at: str) -> IntelliRouterError:
    if isinstance(error, StepFailed) and "step" in error.details:
        return error
    cause = error.details.get("cause", error.code)
    return StepFailed(f"Step '{at}' failed: {error.message}", cause=cause, step=at)
