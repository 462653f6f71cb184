"""What lies outside: a model, a tool, an address and hooks, in this process. It writes down what it is asked, and is never killed."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import random
import time
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

Json = dict[str, Any]


class World:
    """`calls`: the key of each effect and when it came; `heard`: what hooks were told, by their name; `texts`: what the model said."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, float]] = []
        self.heard: dict[str, list[Json]] = {}
        self.texts: set[str] = set()
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_post("/v1/embeddings", self._embed)
        app.router.add_post("/hooks/{name}", self._hook)
        app.router.add_route("*", "/effects/{path:.*}", self._effect)
        self.server = TestServer(app)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.port}"

    async def _effect(self, request: web.Request) -> web.Response:
        self.calls.append((request.headers.get("idempotency-key", ""), time.monotonic()))
        await asyncio.sleep(random.uniform(0.0, 0.05))  # so that branches overtake one another
        return web.json_response({"serial": len(self.calls), "path": request.path})

    async def _hook(self, request: web.Request) -> web.Response:
        told = await request.json()
        assert told["id"] == request.headers["webhook-id"]
        self.heard.setdefault(request.match_info["name"], []).append(told)
        return web.json_response({"allow": True, "score": 0.8})

    async def _embed(self, request: web.Request) -> web.Response:
        asked = await request.json()
        texts = asked["input"] if isinstance(asked["input"], list) else [asked["input"]]
        data = [
            {"object": "embedding", "index": at, "embedding": _vector(text)} for at, text in enumerate(texts)
        ]
        usage = {"prompt_tokens": 1, "total_tokens": 1}
        return web.json_response({"object": "list", "data": data, "model": asked["model"], "usage": usage})

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        asked = await request.json()
        text, calls = _answered(asked["messages"])
        self.texts.add(text)
        if asked.get("stream"):
            return await _streamed(request, text)
        await asyncio.sleep(random.uniform(0.0, 0.05))
        message: Json = {"role": "assistant", "content": text or None}
        if calls:
            message["tool_calls"] = calls
        return web.json_response(
            _completion(message=message, finish_reason="tool_calls" if calls else "stop")
        )


def _answered(messages: list[Json]) -> tuple[str, list[Json]]:
    """What the model says to a last message, and which tools it calls. What it says to a plain question differs each time."""
    last = messages[-1]
    said = last["content"] if isinstance(last["content"], str) else json.dumps(last["content"])
    if last["role"] == "tool":
        return "It is done.", []
    if "late parcel" in said:
        return json.dumps({"label": "delivery"}), []
    if "order 7" in said:
        return json.dumps({"order": 7}), []
    if said.startswith("Research"):
        wanted = (("stamp", {"v": "1"}), ("stamp", {"v": "2"}), ("search", {"query": "coal"}))
        return "", [
            {
                "id": f"call_{at}",
                "type": "function",
                "function": {"name": name, "arguments": json.dumps(given)},
            }
            for at, (name, given) in enumerate(wanted)
        ]
    return " ".join(f"{random.randrange(10_000):04}" for _ in range(12)), []


async def _streamed(request: web.Request, text: str) -> web.StreamResponse:
    reply = web.StreamResponse(headers={"content-type": "text/event-stream"})
    await reply.prepare(request)
    with contextlib.suppress(ConnectionError):  # whoever listened was killed
        for at, word in enumerate(text.split(" ")):
            piece = _completion(delta={"content": f" {word}" if at else word}, finish_reason=None)
            await reply.write(b"data: %b\n\n" % json.dumps(piece).encode())
            await asyncio.sleep(0.02)
        await reply.write(
            b"data: %b\n\ndata: [DONE]\n\n" % json.dumps(_completion(delta={}, finish_reason="stop")).encode()
        )
    return reply


def _completion(**choice: Any) -> Json:
    kind = "chat.completion.chunk" if "delta" in choice else "chat.completion"
    usage = {"prompt_tokens": 3, "completion_tokens": 12, "total_tokens": 15}
    return {
        "id": "c",
        "object": kind,
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, **choice}],
        "usage": usage,
    }


def _vector(text: str) -> list[float]:
    return [byte / 255 for byte in hashlib.sha256(text.encode()).digest()]


@contextlib.asynccontextmanager
async def world() -> AsyncIterator[World]:
    made = World()
    await made.server.start_server()
    try:
        yield made
    finally:
        await made.server.close()
