"""Sending fuzzed bodies to a running Router, and judging what comes back."""

from __future__ import annotations

import json
import random
from collections import Counter
from typing import Any
from urllib.parse import quote

import aiohttp

from tests.roles.router.fuzz.bodies import Endpoint, Envelope
from tests.roles.router.fuzz.mutate import garbled
from tests.servers.vendor import Play, Received

KINDS = (
    "openai_compatible",
    "openai",
    "mistral",
    "groq",
    "anthropic",
    "google",
    "ollama",
    "openai_responses",
    "openai_completions",
    "ollama_generate",
)
SECONDS = 10.0
"""An answer that takes longer counts as a hang."""

USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
_CHAT = {
    "id": "c",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi."}, "finish_reason": "stop"}],
    "usage": USAGE,
}
_TEXT = {
    "id": "c",
    "object": "text_completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "text": "Hi.", "finish_reason": "stop", "logprobs": None}],
    "usage": USAGE,
}
_MESSAGE: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [{"type": "text", "text": "Hi."}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 3, "output_tokens": 2},
}
_RESPONSE: dict[str, Any] = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "model": "m",
    "status": "completed",
    "output": [
        {
            "type": "message",
            "id": "msg_1",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "Hi.", "annotations": []}],
        }
    ],
    "usage": {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5},
}
_GEMINI: dict[str, Any] = {
    "candidates": [
        {"content": {"role": "model", "parts": [{"text": "Hi."}]}, "finishReason": "STOP", "index": 0}
    ],
    "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 5},
    "modelVersion": "m",
}
_OLLAMA: dict[str, Any] = {
    "model": "m",
    "created_at": "2026-01-01T00:00:00Z",
    "done": True,
    "done_reason": "stop",
}
_SAID: dict[str, Any] = {"role": "assistant", "content": "Hi."}


def config(url: str) -> str:
    """The TOML of a Router that reaches one stand-in through every kind of adapter."""
    providers = [
        f'[[model_registry.providers]]\nname = "{kind}"\nkind = "{kind}"\nendpoint = "{url}/v1"\n'
        f'api_key = "sk-secret"\nmodels = ["m"]\n'
        for kind in KINDS
    ]
    return "\n".join(providers)


def vendor(request: Received) -> Play:
    """Every vendor at once: a good answer to whatever well-formed request comes."""
    asked = json.loads(request.body or b"{}")
    path = request.path.partition("?")[0]
    for end, answer in _ANSWERS.items():
        if path.endswith(end):
            whole, events = answer
            return Play.sse(*events) if asked.get("stream") and events else Play.json(whole)
    if path.endswith(":streamGenerateContent"):
        return Play.sse(json.dumps(_GEMINI).encode())
    return Play.json(_vectors(asked, path))


def _vectors(asked: dict[str, Any], path: str) -> dict[str, Any]:
    if path.endswith(":batchEmbedContents"):
        return {"embeddings": [{"values": [0.5, 1.0]} for _ in asked["requests"]]}
    if path.endswith("/api/embed"):
        return {"model": "m", "embeddings": [[0.5, 1.0] for _ in asked["input"]]}
    found = [{"index": i, "embedding": [0.5, 1.0]} for i in range(len(asked["input"]))]
    return {"object": "list", "model": "m", "data": found, "usage": {"prompt_tokens": 3, "total_tokens": 3}}


def _message_events() -> list[bytes]:
    start = {**_MESSAGE, "content": [], "stop_reason": None}
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": start},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi."}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}},
        {"type": "message_stop"},
    ]
    return [json.dumps(event).encode() for event in events]


def _response_events() -> list[bytes]:
    delta = {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "Hi."}
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": {**_RESPONSE, "output": [], "status": "in_progress"}},
        delta,
        {"type": "response.completed", "response": _RESPONSE},
    ]
    return [json.dumps(event).encode() for event in events]


_ANSWERS: dict[str, tuple[dict[str, Any], list[bytes]]] = {
    "/chat/completions": (
        _CHAT,
        [
            json.dumps(
                {**_CHAT, "choices": [{"index": 0, "delta": _SAID, "finish_reason": "stop"}]}
            ).encode(),
            b"[DONE]",
        ],
    ),
    "/completions": (_TEXT, [json.dumps(_TEXT).encode(), b"[DONE]"]),
    "/messages": (_MESSAGE, _message_events()),
    "/responses": (_RESPONSE, _response_events()),
    ":generateContent": (_GEMINI, []),
    "/api/chat": ({**_OLLAMA, "message": _SAID}, []),
    "/api/generate": ({**_OLLAMA, "response": "Hi."}, []),
    ":countTokens": ({"totalTokens": 3}, []),
    "/count_tokens": ({"input_tokens": 3}, []),
    "/input_tokens": ({"input_tokens": 3}, []),
}


async def fuzz(
    http: aiohttp.ClientSession, url: str, endpoint: Endpoint, number: int, seed: int = 0
) -> tuple[Counter[int], list[str]]:
    """Send `number` bodies: how many answers had which status, and a line for each body that did harm."""
    seen: Counter[int] = Counter()
    harms: list[str] = []
    for turn in range(number):
        dice = random.Random(f"{endpoint.path} {seed} {turn}")
        model = f"{dice.choice(KINDS)}/m"
        body = dict(dice.choice(endpoint.bodies))
        if "{model}" not in endpoint.path:
            body |= {name: model for name in ("model", "name") if name in body}
        sent = garbled(body, dice)
        where = url + endpoint.path.replace("{model}", quote(model, safe="/"))
        try:
            status, answer = await _ask(http, where, sent)
            seen[status] += 1
            judge(status, answer, endpoint.envelope)
        except (AssertionError, TimeoutError, ValueError, LookupError, aiohttp.ClientError) as harm:
            harms.append(f"{endpoint.path} turn {turn} of {model}: {harm!r}\n  {sent[:2_000]!r}")
    return seen, harms


async def _ask(http: aiohttp.ClientSession, url: str, sent: bytes) -> tuple[int, bytes]:
    deadline = aiohttp.ClientTimeout(total=SECONDS)
    headers = {"content-type": "application/json"}
    async with http.post(url, data=sent, headers=headers, timeout=deadline) as reply:
        return reply.status, await reply.read()


def judge(status: int, answer: bytes, envelope: Envelope) -> None:
    """No 500, nothing of our inside, and an error in the words of the client's dialect."""
    assert status < 500, (status, answer[:500])
    assert b"Traceback" not in answer
    assert b"internal_error" not in answer
    assert b"upstream_" not in answer  # the stand-in does nothing wrong, so no stream may break over it
    if status < 400:
        return
    told = json.loads(answer)
    match envelope:
        case "openai":
            message, rest = told["error"].pop("message"), told["error"]
            assert {"type", "param", "code"} <= rest.keys()
        case "anthropic":
            assert told["type"] == "error"
            message = told["error"]["message"]
            assert told["error"]["type"].endswith("_error")
        case "ollama":
            message = told["error"]
        case "gemini":
            message = told["error"]["message"]
            assert told["error"]["code"] == status
            assert told["error"]["status"].isupper()
    assert message
    assert isinstance(message, str)
    assert len(message) < 1_000, message
