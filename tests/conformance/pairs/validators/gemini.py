"""Gemini's generateContent."""

from __future__ import annotations

import itertools

from tests.conformance.pairs.validators.common import (
    PICTURES,
    Json,
    Wrong,
    arrays,
    between,
    names,
    picture,
    walk,
)

_GEMINI_KEYWORDS = {
    "type", "properties", "required", "additionalProperties", "items", "prefixItems", "minItems", "maxItems", "minimum",
    "maximum", "enum", "anyOf", "oneOf", "$ref", "$defs", "$id", "$anchor", "description", "title", "format", "propertyOrdering",
}  # fmt: skip


def _gemini_schema(schema: Json) -> Wrong:
    wrong = arrays(schema)
    for node in walk(schema):
        wrong += [f"unknown keyword {key}" for key in node.keys() - _GEMINI_KEYWORDS]
        wrong += ["beside $ref"] if "$ref" in node and any(not key.startswith("$") for key in node) else []
        wrong += (
            ["enum: cannot be empty"] if any(word in ("", None) for word in node.get("enum") or ()) else []
        )
        if "required" in node:
            wrong += [
                f"required[{n}]: property is not defined"
                for n in node["required"]
                if n not in (node.get("properties") or {})
            ]
    return wrong


def gemini(body: Json, model: str) -> Wrong:
    """Gemini's generateContent."""
    known = "contents systemInstruction tools toolConfig generationConfig safetySettings cachedContent labels serviceTier".split()
    wrong = [f"unknown field {name}" for name in body.keys() - set(known)]
    contents = body["contents"]
    wrong += [] if contents else ["contents is not specified"]
    roles = [content["role"] for content in contents]
    wrong += (
        [] if roles[:1] == ["user"] and roles[-1:] == ["user"] else ["must begin and end with a user turn"]
    )
    wrong += ["turns must alternate"] if any(a == b for a, b in itertools.pairwise(roles)) else []
    called = 0
    for content in contents:
        wrong += [] if content["parts"] else ["empty parts"]
        responses = [part["functionResponse"] for part in content["parts"] if "functionResponse" in part]
        if len(responses) != called:
            wrong.append(
                "number of function response parts must equal the function call parts of the turn before"
            )
        called = sum("functionCall" in part for part in content["parts"])
        for part in content["parts"]:
            wrong += ["empty text"] if part.get("text") == "" and "thoughtSignature" not in part else []
            wrong += (
                ["thought without signature"]
                if part.get("thought") and not part.get("thoughtSignature")
                else []
            )
            if "inlineData" in part:
                kind = part["inlineData"]["mimeType"]
                if kind.startswith("image/"):
                    wrong += picture(
                        kind, part["inlineData"]["data"], PICTURES - {"image/gif"} | {"image/heic"}
                    )
                elif not kind.startswith(("audio/", "video/", "text/")) and kind != "application/pdf":
                    wrong.append(f"Unsupported MIME type: {kind}")
        wrong += (
            ["functionResponse.parts"] if "gemini-2" in model and any("parts" in r for r in responses) else []
        )
    if roles and roles[-1] == "model" and called:
        wrong.append("calls at the end")
    return wrong + _tools_and_settings(body, model)


def _tools_and_settings(body: Json, model: str) -> Wrong:
    wrong: Wrong = []
    declared = [f for tool in body.get("tools") or () for f in tool.get("functionDeclarations") or ()]
    wrong += names([f["name"] for f in declared], r"[a-zA-Z_][a-zA-Z0-9_.:-]{0,63}")
    for function in declared:
        if "parametersJsonSchema" in function:
            wrong += _gemini_schema(function["parametersJsonSchema"])
    hosted = [tool for tool in body.get("tools") or () if "functionDeclarations" not in tool]
    if hosted and declared and "gemini-2" in model:
        wrong.append("Tool use with function calling is unsupported")
    if hosted and declared and not ((body.get("toolConfig") or {}).get("includeServerSideToolInvocations")):
        wrong.append("includeServerSideToolInvocations is not set")
    settings = body.get("generationConfig") or {}
    if "gemini-2" in model and declared and settings.get("responseMimeType") == "application/json":
        wrong.append("Function calling with a response mime type: 'application/json' is unsupported")
    if "responseJsonSchema" in settings:
        wrong += _gemini_schema(settings["responseJsonSchema"])
    wrong += ["stopSequences over 5"] if len(settings.get("stopSequences") or ()) > 5 else []
    wrong += ["candidateCount"] if settings.get("candidateCount", 1) > 8 else []
    wrong += (
        ["logprobs without responseLogprobs"]
        if "logprobs" in settings and not settings.get("responseLogprobs")
        else []
    )
    return wrong + between(settings, {"temperature": (0, 2), "topP": (0, 1)})
