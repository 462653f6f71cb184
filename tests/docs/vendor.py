"""A stand-in for OpenAI's API that answers whatever a guide asks: models, chat completions whole and streamed, embeddings."""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web

MODEL = "gpt-5-mini"
ANSWER = "ready"


async def models(_: web.Request) -> web.Response:
    data = [
        {"id": name, "object": "model", "created": 0, "owned_by": "openai"} for name in (MODEL, "gpt-4o-mini")
    ]
    return web.json_response({"object": "list", "data": data})


def _answer(form: dict[str, Any]) -> str:
    """A word, or the smallest JSON of the schema that is asked for."""
    if form.get("type") not in ("json_schema", "json_object"):
        return ANSWER
    return json.dumps(_instance(form.get("json_schema", {}).get("schema", {"type": "object"})))


def _instance(schema: dict[str, Any]) -> Any:
    match schema.get("type"):
        case "object":
            return {name: _instance(inner) for name, inner in schema.get("properties", {}).items()}
        case "array":
            return [_instance(schema.get("items", {}))]
        case "number" | "integer":
            return schema.get("maximum", 1)
        case "boolean":
            return True
    return schema["enum"][0] if "enum" in schema else ANSWER


async def chat(request: web.Request) -> web.StreamResponse:
    body = await request.json()
    head = {"id": "chatcmpl-1", "created": 0, "model": body["model"]}
    said = _answer(body.get("response_format") or {})
    usage = {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}
    if not body.get("stream"):
        message = {"role": "assistant", "content": said}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return web.json_response({**head, "object": "chat.completion", "choices": [choice], "usage": usage})
    answer = web.StreamResponse(headers={"content-type": "text/event-stream"})
    await answer.prepare(request)
    pieces: list[dict[str, Any]] = [
        {"choices": [{"index": 0, "delta": {"role": "assistant", "content": said}, "finish_reason": None}]},
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
        {"choices": [], "usage": usage},
    ]
    for piece in pieces:
        line = json.dumps({**head, "object": "chat.completion.chunk", **piece})
        await answer.write(f"data: {line}\n\n".encode())
    await answer.write(b"data: [DONE]\n\n")
    return answer


def application() -> web.Application:
    app = web.Application()
    app.router.add_get("/v1/models", models)
    app.router.add_post("/v1/chat/completions", chat)
    return app
