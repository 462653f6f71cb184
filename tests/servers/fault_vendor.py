"""A vendor that misbehaves in the sixteen ways known to break gateways, and one that does not.

Both speak Chat Completions and answer with the same sixty words, so that a caller can tell a whole answer from a part
of one. Asked to continue, they go on after the words they are shown.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from tests.servers.vendor import Play, Received

WORDS = [f"word{number:02d}" for number in range(60)]
TEXT = " ".join(WORDS)
PIECES = [WORDS[0], *(f" {word}" for word in WORDS[1:])]
USAGE = {"prompt_tokens": 10, "completion_tokens": 60, "total_tokens": 70}


def chunk(delta: dict[str, Any], finish: str | None = None, model: str = "m") -> bytes:
    choices = [{"index": 0, "delta": delta, "finish_reason": finish}]
    return json.dumps(
        {
            "id": "chatcmpl-f",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": model,
            "choices": choices,
        }
    ).encode()


def usage_chunk(model: str = "m") -> bytes:
    return json.dumps(
        {
            "id": "chatcmpl-f",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": model,
            "choices": [],
            "usage": USAGE,
        }
    ).encode()


def events(
    pieces: list[str], model: str = "m", *, done: bool = True, finish: bool = True
) -> list[bytes | float]:
    said: list[bytes | float] = [chunk({"role": "assistant", "content": ""}, model=model)]
    said += [chunk({"content": piece}, model=model) for piece in pieces]
    if finish:
        said += [chunk({}, "stop", model), usage_chunk(model)]
    return [*said, b"[DONE]"] if done else said


def whole(text: str = TEXT, model: str = "m") -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    return {
        "id": "chatcmpl-f",
        "object": "chat.completion",
        "created": 1,
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": USAGE,
    }


def rest_of(request: Received) -> list[str]:
    """All pieces, or those after the last assistant turn when the request asks to continue one."""
    turns = [message for message in request.json["messages"] if message["role"] == "assistant"]
    if not turns:
        return PIECES
    content = turns[-1]["content"]
    said = content if isinstance(content, str) else "".join(part["text"] for part in content)
    assert TEXT.startswith(said), "the partial answer was garbled"
    rest = TEXT[len(said) :]
    return [rest[i : i + 7] for i in range(0, len(rest), 7)]


def healthy(request: Received, model: str = "m") -> Play:
    """A complete answer, or the rest of one."""
    if request.json.get("stream"):
        return Play.sse(*events(rest_of(request), model))
    return Play.json(whole("".join(rest_of(request)), model))


def starting_anew(request: Received) -> Play:
    """Asked to continue, it says everything again."""
    if request.json.get("stream"):
        return Play.sse(*events(PIECES, "other"))
    return Play.json(whole(model="other"))


def refusing_prefill(request: Received) -> Play:
    """A model that takes no assistant turn at the end."""
    if request.json["messages"][-1]["role"] == "assistant":
        return error(400, "This model does not support assistant message prefill.")
    return healthy(request, "other")


def error(status: int, message: str, code: str | None = None, **headers: str) -> Play:
    body = {"error": {"message": message, "type": "error", "code": code, "param": None}}
    return Play.json(body, status, **headers)


def once(play: Play) -> Callable[[Received], Play]:
    """This play first, then health."""
    played = False

    def answer(request: Received) -> Play:
        nonlocal played
        if not played:
            played = True
            return play
        return healthy(request)

    return answer


def for_seconds(seconds: float, play: Play) -> Callable[[Received], Play]:
    """This play for a while, then health."""
    until = time.monotonic() + seconds
    return lambda request: play if time.monotonic() < until else healthy(request)


def broken_after(tokens: int, end: str, silence: float | None = None) -> Callable[[Received], Play]:
    """A stream that breaks after some tokens, or falls silent; a whole answer cut in the middle."""

    def answer(request: Received) -> Play:
        if not request.json.get("stream"):
            body = json.dumps(whole()).encode()
            pieces: list[bytes | float] = [body[: len(body) // 2]]
            if silence is not None:
                pieces += [silence, body[len(body) // 2 :]]
            return Play(pieces, headers={"content-type": "application/json"}, end=end)  # type: ignore[arg-type]
        said = events(PIECES[:tokens], finish=False, done=False)
        if silence is not None:
            said += [silence, *events(PIECES[tokens:])[1:]]
        return Play.sse(*said, end=end)  # type: ignore[arg-type]

    return answer


def invalid_json(request: Received) -> Play:
    """One event in the middle is no JSON."""
    if not request.json.get("stream"):
        return Play([b'{"choices": [{"mess'], headers={"content-type": "application/json"})
    said = events(PIECES)
    return Play.sse(*said[:30], b'{"choices": [{"delta": {"cont', *said[31:])


def without_done(request: Received) -> Play:
    """Complete, but nobody says so: no [DONE], and the connection stays open."""
    if request.json.get("stream"):
        return Play.sse(*events(PIECES, done=False), end="hang")
    return healthy(request)


def slow_first_token(seconds: float) -> Callable[[Received], Play]:
    """Headers at once, the first token late."""

    def answer(request: Received) -> Play:
        if request.json.get("stream"):
            return Play.sse(seconds, *events(PIECES))
        return Play([seconds, json.dumps(whole()).encode()], headers={"content-type": "application/json"})

    return answer
