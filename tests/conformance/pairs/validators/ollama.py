"""Ollama's chat."""

from __future__ import annotations

from tests.conformance.pairs.validators.chat import template_rules
from tests.conformance.pairs.validators.common import (
    Json,
    Wrong,
)


def ollama(body: Json, model: str) -> Wrong:
    """Ollama's chat."""
    known = "model messages stream tools format think options keep_alive logprobs top_logprobs".split()
    wrong = [f"unknown field {name}" for name in body.keys() - set(known)]
    plain = []
    for message in body["messages"]:
        wrong += [
            f"unknown message field {n}"
            for n in message.keys()
            - {"role", "content", "images", "thinking", "tool_calls", "tool_name", "tool_call_id"}
        ]
        wrong += [] if isinstance(message["content"], str) else ["content is no string"]
        for call in message.get("tool_calls") or ():
            wrong += [] if isinstance(call["function"]["arguments"], dict) else ["arguments are no object"]
        plain.append({**message, "tool_calls": message.get("tool_calls")})
    for tool in body.get("tools") or ():
        parameters = tool["function"]["parameters"]
        wrong += [] if isinstance(parameters.get("type"), str) else ["parameters.type is no string"]
        wrong += [] if isinstance(parameters.get("properties", {}), dict) else ["parameters.properties"]
        for inner in (parameters.get("properties") or {}).values():
            wrong += (
                []
                if isinstance(inner, dict)
                else ["cannot unmarshal bool into Go value of type api.ToolProperty"]
            )
    return wrong + template_rules({"messages": plain}, strict="mistral" in model.lower())
