"""Chat Completions, as each of its vendors takes it."""

from __future__ import annotations

import itertools
import re

from tests.conformance.pairs.validators.common import (
    PICTURES,
    Json,
    Wrong,
    arrays,
    between,
    names,
    object_at_top,
    picture,
    said,
)


def _chat_parts(messages: list[Json], kinds: set[str], pictures: set[str]) -> Wrong:
    wrong: Wrong = []
    for message in messages:
        content = message.get("content")
        for part in content if isinstance(content, list) else ():
            kind = part.get("type")
            if kind not in kinds:
                wrong.append(f"part type {kind}")
            elif kind == "image_url":
                url = part["image_url"]["url"]
                if url.startswith("data:"):
                    head, _, data = url[5:].partition(";base64,")
                    wrong += picture(head, data, pictures)
            elif kind == "input_audio" and part["input_audio"]["format"] not in ("wav", "mp3"):
                wrong.append(f"audio format {part['input_audio']['format']}")
            elif kind == "file" and "file_data" in part["file"]:
                if not part["file"]["file_data"].startswith("data:application/pdf;base64,"):
                    wrong.append("a file that is no PDF")
                if not part["file"].get("filename"):
                    wrong.append("a file without a name")
        if (
            message["role"] == "tool"
            and isinstance(content, list)
            and any(p["type"] != "text" for p in content)
        ):
            wrong.append("a tool's message takes text alone")
        if content == []:
            wrong.append("empty content array")
    return wrong


def _calls_and_results(messages: list[Json]) -> Wrong:
    """Each call answered by the messages right after it, and nothing answered that was not called."""
    wrong: Wrong = []
    open_ids: set[str] = set()
    seen: set[str] = set()
    for message in messages:
        if message["role"] == "tool":
            if message["tool_call_id"] not in open_ids:
                wrong.append("a tool message without a preceding call")
            open_ids.discard(message["tool_call_id"])
            continue
        if open_ids:
            wrong.append("tool calls without the messages that answer them")
        ids = [call["id"] for call in message.get("tool_calls") or ()]
        wrong += ["a call id twice"] if len(set(ids)) < len(ids) or seen & set(ids) else []
        seen |= set(ids)
        open_ids = set(ids)
    return wrong + (["calls at the end"] if open_ids and messages[-1]["role"] != "assistant" else [])


def _chat_common(body: Json, *, longest_id: int = 40, pattern: str = r"[a-zA-Z0-9_-]{1,64}") -> Wrong:
    messages, wrong = body["messages"], []
    for message in messages:
        calls = message.get("tool_calls")
        if calls == []:
            wrong.append("empty tool_calls")
        for call in calls or ():
            wrong += [] if 0 < len(call["id"]) <= longest_id else [f"call id of {len(call['id'])} characters"]
            if call["type"] == "function":
                wrong += names([call["function"]["name"]], pattern)
                wrong += [] if isinstance(call["function"]["arguments"], str) else ["arguments are no string"]
        if (
            message["role"] == "assistant"
            and message.get("content") is None
            and not calls
            and not message.get("refusal")
            and not message.get("audio")
        ):
            wrong.append("an assistant message without content or calls")
        if message["role"] != "assistant" and message.get("content") is None:
            wrong.append("content is null")
    tools = body.get("tools")
    if tools == []:
        wrong.append("empty tools")
    if tools is None and ("tool_choice" in body or "parallel_tool_calls" in body):
        wrong.append("tool_choice is only allowed when tools are specified")
    functions = [tool["function"] for tool in tools or () if tool["type"] == "function"]
    wrong += names([function["name"] for function in functions], pattern)
    for function in functions:
        if function.get("parameters") is not None:
            wrong += object_at_top(function["parameters"]) + arrays(function["parameters"])
    wrong += between(
        body,
        {"temperature": (0, 2), "top_p": (0, 1), "presence_penalty": (-2, 2), "frequency_penalty": (-2, 2)},
    )
    form = body.get("response_format") or {}
    if form.get("type") == "json_schema":
        wrong += names([form["json_schema"]["name"]], r"[a-zA-Z0-9_-]{1,64}")
    return wrong + _calls_and_results(messages)


def _json_word(body: Json) -> Wrong:
    if (body.get("response_format") or {}).get("type") != "json_object":
        return []
    return (
        [] if any("json" in said(m.get("content")).lower() for m in body["messages"]) else ["no word of json"]
    )


def openai(body: Json, _model: str) -> Wrong:
    """OpenAI and Azure."""
    known = """model messages stream stream_options tools tool_choice parallel_tool_calls max_completion_tokens temperature top_p
    presence_penalty frequency_penalty seed stop n logprobs top_logprobs logit_bias response_format reasoning_effort verbosity
    modalities audio prediction user metadata service_tier store prompt_cache_key max_tokens web_search_options""".split()
    wrong = [f"unknown field {name}" for name in body.keys() - set(known)]
    fields = {"role", "content", "name", "tool_calls", "tool_call_id", "refusal", "audio"}
    wrong += [f"unknown message field {n}" for m in body["messages"] for n in m.keys() - fields]
    wrong += _chat_common(body) + _json_word(body)
    wrong += _chat_parts(body["messages"], {"text", "image_url", "input_audio", "file", "refusal"}, PICTURES)
    wrong += ["user over 64"] if len(body.get("user") or "") > 64 else []
    wrong += ["more than four stops"] if isinstance(body.get("stop"), list) and len(body["stop"]) > 4 else []
    wrong += ["more than 128 tools"] if len(body.get("tools") or ()) > 128 else []
    if body.get("service_tier") not in (None, "auto", "default", "flex", "priority", "scale"):
        wrong.append(f"service_tier {body['service_tier']}")
    if body.get("top_logprobs") is not None and not (body.get("logprobs") and body["top_logprobs"] <= 20):
        wrong.append("top_logprobs")
    return wrong


def template_rules(body: Json, *, strict: bool) -> Wrong:
    """The rules of chat templates: one system message first, then user and assistant in turn, tools in between."""
    wrong: Wrong = []
    roles = [message["role"] for message in body["messages"]]
    if any(role == "system" for role in roles[1:]):
        wrong.append("System message must be at the beginning.")
    if any(role == "developer" for role in roles):
        wrong.append("unknown role developer")
    if "user" not in roles:
        wrong.append("No user query found in messages.")
    spoken = [
        message
        for message in body["messages"]
        if message["role"] == "user" or (message["role"] == "assistant" and not message.get("tool_calls"))
    ]
    if strict:
        for index, message in enumerate(spoken):
            if (message["role"] == "user") != (index % 2 == 0):
                wrong.append("Conversation roles must alternate user/assistant/user/assistant/...")
                break
    else:
        plain = [m["role"] for m in body["messages"] if m["role"] != "system"]
        if any(one == two == "user" for one, two in itertools.pairwise(plain)):
            wrong.append("Conversation roles must alternate")
        if plain and plain[0] == "assistant":
            wrong.append("the first message must be the user's")
    return wrong + _said_of_turns(body["messages"])


def _said_of_turns(messages: list[Json]) -> Wrong:
    wrong: Wrong = []
    for message in messages:
        if (
            message["role"] == "assistant"
            and not message.get("tool_calls")
            and not said(message.get("content"))
        ):
            wrong.append("an assistant message must not be empty")
        if message["role"] == "system" and not isinstance(message["content"], str):
            wrong.append("can only concatenate str")
    return wrong


def template(body: Json, model: str) -> Wrong:
    """vLLM, llama.cpp, LM Studio and whoever serves open models: by the model's family."""
    wrong = _chat_common(body, longest_id=1_000)
    wrong += [] if "cache_control" not in str(body["messages"]) else ["cache_control"]
    wrong += [f"custom tool {t}" for t in body.get("tools") or () if t["type"] != "function"]
    return wrong + template_rules(body, strict="mistral" in model.lower())


def mistral(body: Json, _model: str) -> Wrong:
    """Mistral's own API."""
    known = """model messages stream temperature top_p stop tools tool_choice response_format n presence_penalty
    frequency_penalty parallel_tool_calls prediction metadata prompt_cache_key max_tokens random_seed safe_prompt prompt_mode
    reasoning_effort guardrails""".split()
    wrong = [f"unknown field {name}" for name in body.keys() - set(known)]
    fields = {"role", "content", "tool_calls", "tool_call_id", "name", "prefix"}
    wrong += [f"unknown message field {n}" for m in body["messages"] for n in m.keys() - fields]
    after = {
        "system": {"user", "assistant", "system"},
        "user": {"assistant", "system", "user"},
        "assistant": {"assistant", "user", "tool"},
        "tool": {"assistant", "tool"},
    }
    messages = body["messages"]
    for one, two in itertools.pairwise(messages):
        if two["role"] not in after[one["role"]]:
            wrong.append(f"Unexpected role '{two['role']}' after role '{one['role']}'")
    last = messages[-1]
    if last["role"] == "system" or (last["role"] == "assistant" and not last.get("prefix")):
        wrong.append("Expected last role User or Tool (or Assistant with prefix True)")
    for message in messages:
        if message["role"] == "assistant" and not message.get("content") and not message.get("tool_calls"):
            wrong.append("Assistant message must have either content or tool_calls")
        for given in [c["id"] for c in message.get("tool_calls") or ()] + [
            message.get("tool_call_id") or "a" * 9
        ]:
            if not re.fullmatch(r"[a-zA-Z0-9]{9}", given):
                wrong.append(f"Tool call id was {given}")
    wrong += names(
        [t["function"]["name"] for t in body.get("tools") or () if "function" in t], r"[a-zA-Z0-9_-]{1,64}"
    )
    wrong += between(body, {"temperature": (0, 1.5), "top_p": (0, 1)})
    if body.get("temperature") == 0 and body.get("top_p", 1) != 1:
        wrong.append("top_p must be 1 when using greedy sampling")
    if body.get("random_seed", 0) < 0:
        wrong.append("random_seed must not be negative")
    return wrong + _calls_and_results(messages)


def deepseek(body: Json, _model: str) -> Wrong:
    """DeepSeek."""
    wrong = _chat_common(body, longest_id=1_000) + _json_word(body)
    form = (body.get("response_format") or {}).get("type")
    wrong += [] if form in (None, "text", "json_object") else ["This response_format type is unavailable now"]
    wrong += [
        "The `reasoning_content` in the thinking mode must be passed back to the API."
        for m in body["messages"]
        if m.get("tool_calls") and "reasoning_content" not in m
    ]
    wrong += (
        ["system in the middle"]
        if "system" in [m["role"] for m in body["messages"] if m["role"] != "system"]
        else []
    )
    wrong += [
        f"unknown message field {n}"
        for m in body["messages"]
        for n in m.keys() & {"thinking_blocks", "reasoning_details"}
    ]
    wrong += ["stop over 16"] if len(body.get("stop") or ()) > 16 else []
    return wrong + [f"custom tool {t}" for t in body.get("tools") or () if t["type"] != "function"]


def groq(body: Json, model: str) -> Wrong:
    """Groq."""
    wrong = template(body, model) + _json_word(body)
    wrong += [f"unsupported field {n}" for n in ("logprobs", "logit_bias", "top_logprobs") if n in body]
    if body.get("tools") and (body.get("response_format") or {}).get("type") in (
        "json_object",
        "json_schema",
    ):
        wrong.append("json mode cannot be combined with tool/function calling")
    if body.get("service_tier") not in (None, "auto", "on_demand", "flex", "performance"):
        wrong.append(f"service_tier {body['service_tier']}")
    wrong += ["n must be 1"] if body.get("n", 1) != 1 else []
    return wrong + (["more than four stops"] if len(body.get("stop") or ()) > 4 else [])


def openrouter(body: Json, _model: str) -> Wrong:
    """OpenRouter, before Claude or Gemini as well."""
    wrong = _chat_common(body, longest_id=1_000)
    roles = [message["role"] for message in body["messages"]]
    wrong += ["a system message that is not first"] if "system" in roles[1:] else []
    wrong += ["user over 128"] if len(body.get("user") or "") > 128 else []
    return wrong + _chat_parts(body["messages"], {"text", "image_url", "input_audio", "file"}, PICTURES)
