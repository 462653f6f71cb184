"""OpenAI's Responses."""

from __future__ import annotations

from tests.conformance.pairs.validators.common import (
    PICTURES,
    Json,
    Wrong,
    arrays,
    between,
    names,
    object_at_top,
    picture,
)


def openai(body: Json, _model: str) -> Wrong:
    """OpenAI's Responses."""
    known = """model input instructions tools tool_choice parallel_tool_calls max_output_tokens temperature top_p top_logprobs
    text reasoning user metadata service_tier store prompt_cache_key include stream truncation background conversation
    previous_response_id max_tool_calls safety_identifier""".split()
    wrong = [f"unknown field {name}" for name in body.keys() - set(known)]
    calls: dict[str, str] = {}
    answered: set[str] = set()
    items = body["input"] if isinstance(body["input"], list) else []
    wrong += [] if body["input"] else ["no input"]
    for item in items:
        kind = item.get("type", "message")
        if kind == "message":
            wrong += _responses_message(item)
        elif kind.endswith("_call") and "call_id" in item:
            calls[item["call_id"]] = kind
            wrong += ["call id over 64"] if len(item["call_id"]) > 64 else []
            wrong += names([item["name"]], r"[a-zA-Z0-9_-]{1,64}") if "name" in item else []
        elif kind.endswith("_output"):
            wrong += [] if item["call_id"] in calls else [f"No tool call found for {kind}"]
            answered.add(item["call_id"])
        elif kind == "item_reference":
            wrong.append("an item that is not stored")
    wrong += [f"No tool output found for {kind}" for id_, kind in calls.items() if id_ not in answered]
    return wrong + _tools_and_settings(body)


def _tools_and_settings(body: Json) -> Wrong:
    wrong: Wrong = []
    for tool in body.get("tools") or ():
        inside = tool["tools"] if tool["type"] == "namespace" else [tool]
        wrong += names(
            [
                one["name"]
                for one in (*inside, *([tool] if tool["type"] == "namespace" else ()))
                if one["type"] in ("function", "custom", "namespace")
            ],
            r"[a-zA-Z0-9_-]{1,64}",
        )
        for one in inside:
            if one["type"] == "function":
                wrong += (
                    ["no parameters"]
                    if "parameters" not in one
                    else object_at_top(one["parameters"]) + arrays(one["parameters"])
                )
            elif one["type"].startswith(("web_search_2", "bash_", "text_editor", "memory_")):
                wrong.append(f"tool type {one['type']}")
    if "tools" not in body and "tool_choice" in body:
        wrong.append("tool_choice without tools")
    wrong += ["user over 64"] if len(body.get("user") or "") > 64 else []
    wrong += ["max_output_tokens under 16"] if (body.get("max_output_tokens") or 16) < 16 else []
    form = (body.get("text") or {}).get("format") or {}
    if form.get("type") == "json_schema":
        wrong += names([form["name"]], r"[a-zA-Z0-9_-]{1,64}")
    if (
        form.get("type") == "json_object"
        and "json" not in str(body["input"]).lower() + (body.get("instructions") or "").lower()
    ):
        wrong.append("no word of json")
    return wrong + between(body, {"temperature": (0, 2), "top_p": (0, 1)})


def _responses_message(item: Json) -> Wrong:
    wrong: Wrong = []
    content = item["content"]
    known = {"input_text", "input_image", "input_file", "input_audio"}
    if item["role"] == "assistant":
        known = {"output_text", "refusal"}
    for part in content if isinstance(content, list) else ():
        if part["type"] not in known:
            wrong.append(f"{part['type']} in a message of {item['role']}")
        if part["type"] == "input_image" and str(part.get("image_url")).startswith("data:"):
            kind, _, data = part["image_url"][5:].partition(";base64,")
            wrong += picture(kind, data, PICTURES)
    return wrong + (["empty content"] if content == [] else [])
