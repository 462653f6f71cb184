"""Anthropic's Messages."""

from __future__ import annotations

import itertools
import re

from tests.conformance.pairs.validators.common import (
    PICTURES,
    Json,
    Wrong,
    between,
    names,
    picture,
    said,
    walk,
)

_CLAUDE_KEYWORDS = {
    "type", "properties", "required", "additionalProperties", "items", "enum", "const", "anyOf", "allOf", "$ref", "$defs",
    "default", "description", "title", "format", "minItems",
}  # fmt: skip
_CLAUDE_FORMATS = {
    "date-time",
    "time",
    "date",
    "duration",
    "email",
    "hostname",
    "uri",
    "ipv4",
    "ipv6",
    "uuid",
}


def _closed(schema: Json) -> Wrong:
    wrong: Wrong = []
    for node in walk(schema):
        wrong += [f"'{key}' is not supported" for key in node.keys() - _CLAUDE_KEYWORDS]
        if (node.get("type") == "object" or "properties" in node) and node.get(
            "additionalProperties"
        ) is not False:
            wrong.append("'additionalProperties' must be explicitly set to false")
        wrong += [] if node.get("minItems", 0) in (0, 1) else ["minItems"]
        wrong += [] if node.get("format", "date") in _CLAUDE_FORMATS else [f"format {node['format']}"]
    return wrong


def anthropic(body: Json, model: str) -> Wrong:
    """Anthropic's Messages."""
    known = """model max_tokens messages system tools tool_choice stop_sequences metadata service_tier temperature top_p top_k
    stream thinking output_config cache_control context_management mcp_servers container""".split()
    wrong = [f"unknown field {name}" for name in body.keys() - set(known)]
    wrong += [] if body["messages"] else ["at least one message is required"]
    roles = [message["role"] for message in body["messages"]]
    wrong += [] if roles[:1] == ["user"] else ["first message must use the user role"]
    wrong += [f"role {role}" for role in roles if role not in ("user", "assistant")]
    wrong += ["roles must alternate"] if any(a == b for a, b in itertools.pairwise(roles)) else []
    open_ids: list[str] = []
    seen: set[str] = set()
    for message in body["messages"]:
        blocks = message["content"]
        if isinstance(blocks, str):
            wrong += [] if blocks.strip() else ["text content blocks must contain non-whitespace text"]
            blocks = []
        wrong += _blocks(blocks)
        ids = [b["tool_use_id"] for b in blocks if b["type"] == "tool_result"]
        wrong += [f"unexpected tool_use_id {i}" for i in ids if i not in open_ids]
        wrong += ["tool_use without tool_result right after"] if set(open_ids) - set(ids) else []
        order = [b["type"] == "tool_result" for b in blocks]
        wrong += ["tool_result blocks must come first"] if order != sorted(order, reverse=True) else []
        open_ids = [b["id"] for b in blocks if b["type"] == "tool_use"]
        wrong += (
            ["tool_use ids must be unique"]
            if len(set(open_ids)) < len(open_ids) or seen & set(open_ids)
            else []
        )
        seen |= set(open_ids)
    last = body["messages"][-1] if body["messages"] else {"role": "user"}
    if last["role"] == "assistant":
        text = last["content"] if isinstance(last["content"], str) else said(last["content"])
        wrong += (
            ["final assistant content cannot end with trailing whitespace"] if text != text.rstrip() else []
        )
    system = body.get("system")
    for text in [system] if isinstance(system, str) else [b["text"] for b in system or ()]:
        wrong += [] if text.strip() else ["system: text content blocks must be non-empty"]
    tools = [tool for tool in body.get("tools") or () if "type" not in tool or tool["type"] == "custom"]
    wrong += names([tool["name"] for tool in body.get("tools") or ()], r"[a-zA-Z0-9_-]{1,128}")
    for tool in tools:
        schema = tool["input_schema"]
        wrong += [] if schema.get("type") == "object" else ["input_schema.type: Field required"]
        wrong += [
            f"input_schema does not support {k} at the top level"
            for k in ("oneOf", "allOf", "anyOf")
            if k in schema
        ]
        wrong += (
            ["JSON schema is invalid"]
            if any(
                isinstance(n.get("items"), list)
                or isinstance(n.get("exclusiveMinimum"), bool)
                or isinstance(n.get("required"), bool)
                for n in walk(schema)
            )
            else []
        )
        wrong += _closed(schema) if tool.get("strict") else []
    form = (body.get("output_config") or {}).get("format")
    if form is not None:
        wrong += _closed(form["schema"])
        wrong += ["no structured outputs"] if re.search(r"claude-3|sonnet-4-2|opus-4-2", model) else []
    wrong += (
        ["stop sequence of white space"]
        if any(not stop.strip() for stop in body.get("stop_sequences") or ())
        else []
    )
    wrong += ["user_id over 256"] if len((body.get("metadata") or {}).get("user_id") or "") > 256 else []
    wrong += [] if body.get("service_tier") in (None, "auto", "standard_only") else ["service_tier"]
    return wrong + between(body, {"temperature": (0, 1), "top_p": (0, 1)})


def _blocks(blocks: list[Json]) -> Wrong:
    known = {
        "text",
        "image",
        "document",
        "tool_use",
        "tool_result",
        "thinking",
        "redacted_thinking",
        "search_result",
        "server_tool_use",
        "web_search_tool_result",
    }
    wrong = [f"block type {b['type']}" for b in blocks if b["type"] not in known]
    for block in blocks:
        if block["type"] == "text" and not block["text"].strip():
            wrong.append("text content blocks must contain non-whitespace text")
        if block["type"] == "image" and block["source"]["type"] == "base64":
            wrong += picture(block["source"]["media_type"], block["source"]["data"], PICTURES)
        if (
            block["type"] == "document"
            and block["source"]["type"] == "base64"
            and block["source"]["media_type"] != "application/pdf"
        ):
            wrong.append("document media type")
        if block["type"] == "thinking" and not block["signature"]:
            wrong.append("thinking without a signature")
        if block["type"] == "tool_use":
            wrong += [] if re.fullmatch(r"[a-zA-Z0-9_-]+", block["id"]) else ["tool_use.id"]
            wrong += [] if isinstance(block["input"], dict) else ["tool_use.input"]
        if block["type"] == "tool_result" and isinstance(block.get("content"), list):
            wrong += _blocks(block["content"])
    return wrong
