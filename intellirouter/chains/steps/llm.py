"""`llm`: ask a model through the Router. JSON is checked against its schema and repaired once."""

from __future__ import annotations

import json
from typing import Any

from intellirouter.bounds.aside import soon
from intellirouter.bounds.schemas import schema as schema_of
from intellirouter.chains.ports import Ports, Ticket
from intellirouter.chat.model import ChatRequest, Message, OutputFormat, RouteOptions
from intellirouter.chat.parts import Text
from intellirouter.chat.response import ChatResponse
from intellirouter.errors import UpstreamError


class BadModelOutput(UpstreamError):
    """The model's JSON does not parse or does not fit its schema, twice."""

    code = "bad_model_output"


async def run(spec: dict[str, Any], ports: Ports, ticket: Ticket) -> dict[str, Any]:
    """`{"text", "model", "usage", "cost_usd"}`, and with `json` the object's own keys and `json`; what was used is never the model's to say."""
    told, value = await asked(spec, ports, ticket)
    if not (spec.get("json", False) or "schema" in spec):
        return told
    own = value if isinstance(value, dict) else {}
    return {**told, "json": value, **own, "usage": told["usage"], "cost_usd": told["cost_usd"]}


async def asked(spec: dict[str, Any], ports: Ports, ticket: Ticket) -> tuple[dict[str, Any], Any]:
    """What `result` tells, and the value of the model's JSON where some is wanted. Raises `BadModelOutput`."""
    wants_json, guarded_as = spec.get("json", False) or "schema" in spec, None
    model, messages = spec["model"], _messages(spec)
    if "persona" in spec:
        persona = await ports.personas.resolve(*_persona(spec["persona"]), ticket)
        messages = [_message(m["role"], m["content"]) for m in persona["messages"]] + messages
        model = persona.get("model") or model if model == "auto" else model
        guarded_as = {"persona": persona["name"], "guardrails": persona.get("guardrails", {})}
    request = ChatRequest(
        model=model,
        messages=tuple(messages),
        temperature=spec.get("temperature"),
        max_tokens=spec.get("max_tokens"),
        output=_format(spec) if wants_json else None,
        options=RouteOptions(idempotency_key=ticket.key, timeout=ticket.timeout, guarded_as=guarded_as),
        **options(spec.get("options", {})),
    )
    response, cost = await ask(request, ports, ticket)
    if not wants_json:
        return result(response, cost), None
    value, problem = await _checked(response, spec, ticket)
    if problem:
        response, more = await ask(_repair(request, response, problem), ports, ticket)
        cost = cost + more if cost is not None and more is not None else None
        value, problem = await _checked(response, spec, ticket)
        if problem:
            raise BadModelOutput(f"The model's JSON does not hold after one repair: {problem}")
    return result(response, cost), value


async def ask(request: ChatRequest, ports: Ports, ticket: Ticket) -> tuple[ChatResponse, float | None]:
    """The answer, and its cost where it is known. Raises `StepCostExceeded` before a call where nothing is left, and after one that was too dear."""
    ticket.account.check()
    response, cost = await ports.models.complete(request, ticket)
    ticket.account.pay(cost)
    return response, cost


def _persona(given: str | dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Name and variables."""
    return (given, {}) if isinstance(given, str) else (given["name"], given.get("variables", {}))


def options(given: dict[str, Any]) -> dict[str, Any]:
    """The fields of the request that they are; the schema knows no other."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}


def _messages(spec: dict[str, Any]) -> list[Message]:
    turns = [_message(turn["role"], turn["content"]) for turn in spec.get("messages", ())]
    if "system" in spec:
        turns.insert(0, _message("system", spec["system"]))
    return [*turns, _message("user", spec["prompt"])] if "prompt" in spec else turns


def _message(role: Any, text: str) -> Message:
    return Message(role=role, content=(Text(text),))


def _format(spec: dict[str, Any]) -> OutputFormat:
    return (
        OutputFormat("json_schema", spec["schema"], name="answer")
        if "schema" in spec
        else OutputFormat("json")
    )


def result(response: ChatResponse, cost: float | None) -> dict[str, Any]:
    """What every step that asks a model tells of the answer."""
    usage = response.usage
    return {
        "text": response.choices[0].text if response.choices else "",
        "model": response.model,
        "usage": {"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens}
        if usage
        else None,
        "cost_usd": cost,
    }


async def _checked(response: ChatResponse, spec: dict[str, Any], ticket: Ticket) -> tuple[Any, str]:
    found: tuple[Any, str] = await soon(
        ticket.key.partition("/")[0], lambda: _parsed(response, spec.get("schema"))
    )
    return found


def _parsed(response: ChatResponse, schema: dict[str, Any] | None) -> tuple[Any, str]:
    text = (response.choices[0].text if response.choices else "").strip()
    if text.startswith("```"):
        text = text.strip("`").removeprefix("json").strip()
    try:
        value = json.loads(text)
    except RecursionError:
        return None, "it is nested too deeply."
    except ValueError as error:
        return None, f"{error}."
    wrong = schema_of(schema).complaint(value) if schema else None
    return value, f"{wrong}." if wrong is not None else ""


def _repair(request: ChatRequest, response: ChatResponse, problem: str) -> ChatRequest:
    said = response.choices[0].text if response.choices else ""
    turns = (
        _message("assistant", said),
        _message("user", f"That is not valid: {problem} Answer with the corrected JSON alone."),
    )
    before = request.options or RouteOptions()
    again = RouteOptions(idempotency_key=f"{before.idempotency_key}/repair", guarded_as=before.guarded_as)
    return request.changed(messages=(*request.messages, *turns), options=again)
