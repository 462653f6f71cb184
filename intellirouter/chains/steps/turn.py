"""One turn of an agent: the model, with the tools it may call. `chains/agent.py` is the loop around it."""

from __future__ import annotations

from typing import Any

import msgspec

from intellirouter.chains.ports import Ports, Ticket
from intellirouter.chains.steps.llm import ask, options, result
from intellirouter.chat.model import ChatRequest, Message, RouteOptions, Tool, ToolChoice
from intellirouter.chat.parts import Opaque
from intellirouter.chat.response import ChatResponse

SEARCH = "search"
"""The tool that looks passages up; an agent with `collections` has it."""


async def run(spec: dict[str, Any], ports: Ports, ticket: Ticket) -> dict[str, Any]:
    """`{"text", "calls", "message", "model", "usage", "cost_usd"}`; `calls` are `{"id", "name", "arguments"}`, the arguments as text."""
    tools = await ports.tools.offered(spec.get("tools", ()), ticket)
    if spec.get("collections"):
        tools.append(_search(spec["collections"]))
    # `last` takes the tools away: what it may then do is answer. Vendors want those that were used before to be named all the same
    offered = tuple(
        Tool(each["name"], description=each["description"], parameters=each["parameters"]) for each in tools
    )
    request = ChatRequest(
        model=spec["model"],
        messages=msgspec.convert(spec["messages"], tuple[Message, ...]),
        tools=() if spec["last"] and not spec["called"] else offered,
        tool_choice=ToolChoice("none") if spec["last"] and spec["called"] and offered else None,
        temperature=spec.get("temperature"),
        max_tokens=spec.get("max_tokens"),
        options=RouteOptions(idempotency_key=ticket.key, timeout=ticket.timeout),
        **options(spec.get("options", {})),
    )
    response, cost = await ask(request, ports, ticket)
    calls = [] if spec["last"] else _calls(response)
    return {**result(response, cost), "calls": calls, "message": _message(response)}


def _search(collections: list[str]) -> dict[str, Any]:
    where = {"type": "string", "enum": list(collections)}
    return {
        "name": SEARCH,
        "description": "Look passages up in a collection of documents.",
        "parameters": {
            "type": "object",
            "properties": {"query": {"type": "string"}, "collection": where},
            "required": ["query"] if len(collections) == 1 else ["query", "collection"],
            "additionalProperties": False,
        },
    }


def _calls(response: ChatResponse) -> list[dict[str, Any]]:
    found = response.choices[0].tool_calls if response.choices else ()
    return [{"id": call.id, "name": call.name, "arguments": call.arguments} for call in found]


def _message(response: ChatResponse) -> Any:
    content = response.choices[0].content if response.choices else ()
    kept = tuple(part for part in content if not isinstance(part, Opaque))
    return msgspec.to_builtins(Message("assistant", kept))
