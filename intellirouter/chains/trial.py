"""Chains tested like code: a case gives a chain its inputs, says what its steps are to give, and what must come of it.

    cases:
      - name: a late parcel
        input: {mail: "Where is order 7?"}
        stubs: {sort: {label: delivery}, reply: "On its way."}      # by id or path; text is an answer of a model
        signals: {approval: {ok: true}}
        expect: {class: delivery}                                   # the output, or the part of it that matters
      - name: a carrier that is away
        stubs: {sort: {error: {code: timeout, message: no answer}}}
        fails: timeout                                              # the code of the cause

Nothing outside is asked: a step with an effect and without a stub fails its case.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from intellirouter.bounds.schemas import schema
from intellirouter.chains.interpreter import Outcome
from intellirouter.chains.model import Chain, Step
from intellirouter.chains.ports import Listener, Ports
from intellirouter.chains.runtime.in_process import InProcessRuntime
from intellirouter.chains.steps.attempts import Worker
from intellirouter.errors import IntelliRouterError, InvalidRequest

SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["cases"],
    "properties": {
        "cases": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "additionalProperties": False,
                "properties": {
                    "name": {"type": "string"},
                    "input": {"type": "object"},
                    "stubs": {"type": "object"},
                    "signals": {"type": "object"},
                    "expect": {},
                    "fails": {"type": "string"},
                },
            },
        }
    },
}
RUN = "run_test"
_INDEX = re.compile(r"\[[^\]]{0,200}\]")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of a case; `problem` is empty where it holds."""

    name: str
    problem: str


@dataclass(slots=True)
class Stubbed(Worker):
    """Gives what the case says in place of any effect."""

    stubs: Mapping[str, Any] = field(default_factory=dict)
    lacking: list[str] = field(default_factory=list)

    async def run(
        self, step: Step, path: str, prepared: Mapping[str, Any], run_id: str, hear: Listener
    ) -> Outcome:
        """See `Worker.run`."""
        del prepared, run_id, hear
        for name in (path, _INDEX.sub("", path), step.id):
            if name in self.stubs:
                return _outcome(step, self.stubs[name])
        self.lacking.append(path)
        return {"error": {"code": "no_stub", "message": f"The case has no stub for step '{path}'."}}


def cases_of(document: Any) -> list[dict[str, Any]]:
    """The cases of a file. Raises `InvalidRequest` that says where it does not fit."""
    wrong = schema(SCHEMA).complaint(document)
    if wrong is not None:
        raise InvalidRequest(f"The cases do not hold: {wrong}.", param="cases")
    found: list[dict[str, Any]] = document["cases"]
    return found


async def tried(chain: Chain, library: Mapping[str, Chain], case: Mapping[str, Any], number: int) -> Verdict:
    """Run one case."""
    name = str(case.get("name", f"case {number}"))
    worker = Stubbed(Ports(), stubs=case.get("stubs", {}))
    runtime, signals = InProcessRuntime(worker), case.get("signals", {})

    def hear(event: str, path: str, facts: Mapping[str, Any]) -> None:
        if event == "step_waiting":
            if facts["signal"] not in signals:
                raise InvalidRequest(
                    f"Step '{path}' waits for '{facts['signal']}': the case has no such signal."
                )
            runtime.signal(RUN, facts["signal"], signals[facts["signal"]])

    try:
        output = await runtime.run(chain, case.get("input", {}), library, run_id=RUN, hear=hear)
    except IntelliRouterError as error:
        cause = error.details.get("cause", error.code)
        if cause == case.get("fails"):
            return Verdict(name, "")
        return Verdict(name, f"failed with {cause}: {error.message}")
    if "fails" in case:
        return Verdict(name, f"was to fail with {case['fails']}, and gave {output!r}")
    return Verdict(name, differs(case["expect"], output) if "expect" in case else "")


def differs(wanted: Any, got: Any, at: str = "output") -> str:
    """Where the output is not what is wanted; of an object only the keys that are named."""
    if isinstance(wanted, dict) and isinstance(got, dict):
        for key, value in wanted.items():
            if key not in got:
                return f"{at}.{key} is missing"
            if found := differs(value, got[key], f"{at}.{key}"):
                return found
        return ""
    return "" if wanted == got else f"{at} is {got!r}, wanted {wanted!r}"


def _outcome(step: Step, given: Any) -> Outcome:
    """A stub as what its kind of step gives."""
    if isinstance(given, dict) and set(given) == {"error"}:
        error = given["error"]
        return {"error": error if isinstance(error, dict) else {"code": str(error), "message": str(error)}}
    spent = {"model": "stub", "usage": None, "cost_usd": None}
    if isinstance(given, str) and step.kind in ("llm", "agent"):
        return {"ok": {"text": given, "calls": [], "message": {}, **spent}}
    return {"ok": given}
