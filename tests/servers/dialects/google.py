"""Gemini's generateContent and streamGenerateContent."""

from __future__ import annotations

import base64
import json
from typing import Any

from tests.servers.dialects.model import (
    CACHED_TOKENS,
    INPUT_TOKENS,
    MODEL,
    OUTPUT_TOKENS,
    THOUGHT_TOKENS,
    Asked,
    Brain,
    Refused,
    Said,
    cut,
    cut_bytes,
    only,
    think,
    vector_of,
)
from tests.servers.vendor import Play, Received

SIGNATURE = "c2ln+mVk/GJ5IEdvb2dsZQ=="
ANY_SIGNATURE = "skip_thought_signature_validator"  # for calls of other vendors, as Google documents it
_FIELDS = "contents systemInstruction tools toolConfig safetySettings generationConfig cachedContent labels"
_CONFIG = """stopSequences responseMimeType responseSchema responseJsonSchema responseModalities candidateCount
maxOutputTokens temperature topP topK seed presencePenalty frequencyPenalty responseLogprobs logprobs thinkingConfig
speechConfig mediaResolution"""


def google(request: Received, brain: Brain = think) -> Play:
    try:
        if "x-goog-api-key" not in request.headers:
            raise Refused("x-goog-api-key is required")
        asked = _read(request.json)
        said = brain(asked)
    except Refused as refused:
        error = {"code": 400, "message": str(refused), "status": "INVALID_ARGUMENT"}
        return Play.json({"error": error}, status=400)
    if ":streamGenerateContent?alt=sse" in request.path:
        return _stream(said)
    assert request.path.endswith(":generateContent")
    return Play.json(_chunk(_parts(said), said, last=True))


def _read(body: dict[str, Any]) -> Asked:
    only(body, _FIELDS)
    config = body.get("generationConfig") or {}
    only(config, _CONFIG, " in generationConfig")
    asked = Asked(max_tokens=config.get("maxOutputTokens"))
    asked.schema = config.get("responseJsonSchema")
    for part in (body.get("systemInstruction") or {}).get("parts") or ():
        asked.system.append(part["text"])
    for tool in body.get("tools") or ():
        if "googleSearch" in tool:  # it searches by itself
            continue
        for given in tool["functionDeclarations"]:
            function = {_camel(key): value for key, value in given.items()}
            asked.tools.append({"name": function["name"], "parameters": function["parametersJsonSchema"]})
    for content in body["contents"]:
        if not content["parts"]:
            raise Refused("contents.parts must not be empty")
        for part in content["parts"]:
            _read_part(part, content["role"], asked)
    return asked


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _thought(part: dict[str, Any]) -> list[str]:
    sealed = part.get("thoughtSignature")
    words = part.get("text", "") if part.get("thought") else ""
    return [words, f" {sealed}" if sealed else ""]


def _read_part(given: dict[str, Any], role: str, asked: Asked) -> None:
    part = {_camel(key): value for key, value in given.items()}  # Google reads its names in both spellings
    if part.get("thoughtSignature", ANY_SIGNATURE) != ANY_SIGNATURE:  # and base64 in both alphabets
        part["thoughtSignature"] = part["thoughtSignature"].translate(str.maketrans("-_", "+/"))
    if "functionCall" in part:
        if not asked.calls and part.get("thoughtSignature") not in (SIGNATURE, ANY_SIGNATURE):
            raise Refused("Function call is missing a thought_signature in functionCall parts.")
        call = part["functionCall"]
        asked.calls.append((call.get("id", ""), call["name"], call["args"]))
    elif "functionResponse" in part:
        result = part["functionResponse"]
        told = result["response"]
        words = next((told[key] for key in ("result", "output", "content") if key in told), json.dumps(told))
        asked.results.append((result["name"], words))
    elif "inlineData" in part:
        inline = {_camel(key): value for key, value in part["inlineData"].items()}
        data = base64.b64encode(
            base64.b64decode(inline["data"], b"-_" if {"-", "_"} & set(inline["data"]) else None)
        )
        asked.images.append((inline["mimeType"], data.decode()))  # Google reads both alphabets
    elif part.get("thought") or part.get("thoughtSignature"):
        asked.thoughts[:] = ["".join([*asked.thoughts, *_thought(part)])]
    elif role == "user":
        asked.user.append(part["text"])


def _parts(said: Said) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = [{"text": piece, "thought": True} for piece in cut(said.thought)]
    parts += [{"text": piece} for piece in said.pieces]
    if said.thought:
        parts[-1]["thoughtSignature"] = SIGNATURE
    for number, (_, name, arguments) in enumerate(said.calls):
        part: dict[str, Any] = {"functionCall": {"name": name, "args": json.loads(arguments)}}
        if number == 0:
            part["thoughtSignature"] = SIGNATURE
        parts.append(part)
    return parts


def _chunk(parts: list[dict[str, Any]], said: Said, *, last: bool) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": parts}, "index": 0}
    usage: dict[str, Any] = {"promptTokenCount": INPUT_TOKENS, "totalTokenCount": INPUT_TOKENS}
    if last:
        candidate["finishReason"] = "MAX_TOKENS" if said.length else "STOP"
        usage = {
            "promptTokenCount": INPUT_TOKENS,
            "candidatesTokenCount": OUTPUT_TOKENS - THOUGHT_TOKENS,
            "totalTokenCount": INPUT_TOKENS + OUTPUT_TOKENS,
            "cachedContentTokenCount": CACHED_TOKENS,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": INPUT_TOKENS}],
            "thoughtsTokenCount": THOUGHT_TOKENS,
        }
    return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": MODEL, "responseId": "resp9"}


def _stream(said: Said) -> Play:
    parts = _parts(said)
    chunks = [_chunk([part], said, last=False) for part in parts] + [_chunk([{"text": ""}], said, last=True)]
    framed = [b"data: " + json.dumps(chunk).encode() + b"\r\n\r\n" for chunk in chunks]
    return Play(cut_bytes(framed), headers={"content-type": "text/event-stream"})


def google_embeddings(request: Received) -> Play:
    vectors = [
        {"values": vector_of(one["content"]["parts"][0]["text"], one.get("outputDimensionality"))}
        for one in request.json["requests"]
    ]
    return Play.json({"embeddings": vectors})


def google_count(request: Received) -> Play:
    return Play.json({"totalTokens": INPUT_TOKENS})
