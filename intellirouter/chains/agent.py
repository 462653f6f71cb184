"""An agent: a model that may call tools, asked until it answers. Sans-io, as the walk: every turn and every call is an effect of its own.

So each is recorded, and a run that is taken over repeats at most what was under way: `draft[2]` is the model's third turn,
`draft[2].weather[0]` the first call that it made.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec

from intellirouter.chains.model import Step
from intellirouter.chains.schema import MAX_CALLS
from intellirouter.chains.steps.turn import SEARCH
from intellirouter.chat.model import Message
from intellirouter.chat.parts import Text, ToolResult
from intellirouter.errors import IntelliRouterError

DEFAULT_ROUNDS = 10
MAX_SHOWN = 50_000
"""Characters of a tool's answer that the model sees."""

Outcome = dict[str, Any]
Effect = Callable[[Step, str, dict[str, Any]], Awaitable[Outcome]]
"""Runs one effect: the step, its path, its table."""
Beside = Callable[[Sequence[tuple[Step, str, dict[str, Any]]]], Awaitable[list[Outcome]]]
"""Runs several at once."""


class AgentSpent(IntelliRouterError):
    """The agent used up its `max_cost_usd` before it had an answer."""

    code = "agent_budget_exceeded"
    status = 422


class TurnFailed(IntelliRouterError):
    """A turn of the model failed; `cause` is the code of what went wrong."""

    code = "step_failed"
    status = 422


async def converse(
    step: Step, at: str, spec: dict[str, Any], effect: Effect, beside: Beside
) -> dict[str, Any]:
    """`{"text", "rounds", "calls", "stopped", "model", "usage", "cost_usd"}`; `stopped` is "answered" or "rounds".

    A tool that fails is told to the model, which may do something else. Raises `TurnFailed`, `AgentSpent`.
    """
    messages = [_said("system", spec["system"])] if spec.get("system") else []
    messages.append(_said("user", spec["prompt"]))
    rounds, spent = spec.get("max_rounds", DEFAULT_ROUNDS), _Spent(spec.get("max_cost_usd"))
    made: list[dict[str, Any]] = []
    for number in range(rounds):
        last = number == rounds - 1
        asked = {**spec, "messages": messages, "last": last, "called": bool(made)}
        outcome = await effect(step, f"{at}[{number}]", asked)
        if "error" in outcome:
            raise TurnFailed(outcome["error"]["message"], cause=outcome["error"]["code"])
        answer = outcome["ok"]
        spent.add(answer)
        if not answer["calls"]:
            told = {"text": answer["text"], "rounds": number + 1, "calls": made, "model": answer["model"]}
            return {**told, "stopped": "rounds" if last else "answered", **spent.told()}
        spent.check()
        results = await _called(step, f"{at}[{number}]", answer["calls"], spec, beside)
        made += [
            {"name": call["name"], "ok": not error}
            for call, (_, error) in zip(answer["calls"], results, strict=True)
        ]
        messages = [
            *messages,
            answer["message"],
            *(_result(*each) for each in zip(answer["calls"], results, strict=True)),
        ]
    raise TurnFailed("The agent has no rounds.", cause="agent_rounds")  # the schema asks for one at least


class _Spent:
    """What the turns used together. A call whose price nobody knows counts as nothing."""

    def __init__(self, most: float | None) -> None:
        self.most, self.cost = most, None if most is None else 0.0
        self.usage = {"input_tokens": 0, "output_tokens": 0}

    def add(self, answer: dict[str, Any]) -> None:
        if answer["cost_usd"] is not None:
            self.cost = (self.cost or 0.0) + answer["cost_usd"]
        for name in self.usage:
            self.usage[name] += (answer["usage"] or {}).get(name, 0)

    def check(self) -> None:
        if self.most is not None and self.cost is not None and self.cost >= self.most:
            raise AgentSpent(
                f"The agent used {self.cost:.4g} of its {self.most:g} US dollars and has no answer yet."
            )

    def told(self) -> dict[str, Any]:
        return {"usage": self.usage, "cost_usd": self.cost}


async def _called(
    step: Step, at: str, calls: Sequence[dict[str, Any]], spec: dict[str, Any], beside: Beside
) -> list[tuple[str, bool]]:
    """Each call's answer as text, and whether it failed."""
    results: list[tuple[str, bool] | None] = []
    wanted: list[tuple[Step, str, dict[str, Any]]] = []
    for number, call in enumerate(calls):
        table, problem = _table(call, spec)
        if number >= MAX_CALLS:
            problem = f"At most {MAX_CALLS} tools are called at once; call it again."
        if problem:
            results.append((problem, True))
            continue
        kind = "rag" if call["name"] == SEARCH and spec.get("collections") else "tool"
        one = Step(step.id, kind, timeout=step.timeout, retry=step.retry, limits=step.limits)
        wanted.append((one, f"{at}.{call['name']}[{number}]", table))
        results.append(None)
    outcomes = iter(await beside(wanted) if wanted else ())
    return [_text(next(outcomes)) if found is None else found for found in results]


def _table(call: dict[str, Any], spec: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """The table of the step that makes the call, or what is wrong with it in words for the model."""
    try:
        arguments = json.loads(call["arguments"] or "{}")
    except (ValueError, RecursionError):
        return {}, "The arguments are not valid JSON."
    if not isinstance(arguments, dict):
        return {}, "The arguments must be a JSON object."
    if call["name"] == SEARCH and (collections := spec.get("collections")):
        where = arguments.get("collection", collections[0])
        if where not in collections or not isinstance(arguments.get("query"), str):
            return {}, f"'{SEARCH}' takes a query and one of these collections: {', '.join(collections)}."
        return {"collection": where, "query": arguments["query"], "top_k": 5}, ""
    if call["name"] not in spec.get("tools", ()):
        return {}, f"There is no tool '{call['name'][:100]}'."
    return {"name": call["name"], "arguments": arguments}, ""


def _text(outcome: Outcome) -> tuple[str, bool]:
    if "error" in outcome:
        return outcome["error"]["message"], True
    value = outcome["ok"]
    if isinstance(value, dict) and "hits" in value:
        value = value["text"]
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return (text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]} … (cut)"), False


def _said(role: Any, text: str) -> Any:
    return msgspec.to_builtins(Message(role, (Text(text),)))


def _result(call: dict[str, Any], result: tuple[str, bool]) -> Any:
    text, failed = result
    part = ToolResult(call["id"], (Text(text),), name=call["name"], is_error=failed)
    return msgspec.to_builtins(Message("tool", (part,)))
