"""What models make beside words, and how likely its words were: pictures and log probabilities in every dialect out."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from intellirouter.chat.delta import Delta, ImageDelta, TextDelta
from intellirouter.chat.mistral.format import FORMAT as MISTRAL
from intellirouter.chat.model import ChatRequest, Message
from intellirouter.chat.parts import Image, Text
from intellirouter.providers.adapter import HttpResponse
from intellirouter.providers.table import ADAPTERS
from tests.conformance.dialects.said import FRONTS

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"0" * 30).decode()
ASK = ChatRequest(model="m", messages=(Message("user", (Text("Draw."),)),), stream=True)
GEMINI = {
    "candidates": [
        {
            "index": 0,
            "finishReason": "STOP",
            "content": {
                "role": "model",
                "parts": [{"text": "see"}, {"inlineData": {"mimeType": "image/png", "data": PNG}}],
            },
        }
    ],
    "modelVersion": "m",
}
OPENROUTER = {
    "id": "x",
    "model": "m",
    "choices": [
        {
            "index": 0,
            "finish_reason": "stop",
            "message": {
                "role": "assistant",
                "content": "see",
                "images": [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}],
            },
        }
    ],
}
RESPONSES = {
    "id": "r",
    "status": "completed",
    "model": "m",
    "output": [
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "see"}]},
        {
            "type": "image_generation_call",
            "id": "ig_1",
            "status": "completed",
            "result": PNG,
            "output_format": "png",
        },
    ],
}
WHOLE = {"google": GEMINI, "openrouter": OPENROUTER, "openai_responses": RESPONSES}


def streamed(kind: str) -> list[Any]:
    """The same answers as their vendors stream them."""
    if kind == "google":
        return [GEMINI]
    if kind == "openrouter":
        message = OPENROUTER["choices"][0]["message"]  # type: ignore[index]
        chunk = {"index": 0, "delta": message}
        return [
            {"id": "x", "choices": [chunk]},
            {"id": "x", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
        ]
    message, made = RESPONSES["output"]  # type: ignore[misc]
    return [
        {"type": "response.created", "response": {"id": "r", "model": "m"}},
        {"type": "response.output_item.done", "output_index": 0, "item": message},
        {"type": "response.output_item.done", "output_index": 1, "item": made},
        {"type": "response.completed", "response": RESPONSES},
    ]


def deltas_of(kind: str) -> tuple[Delta, ...]:
    parser = ADAPTERS[kind].new_stream()
    events = [
        e for body in streamed(kind) for e in parser.feed(b"data: " + json.dumps(body).encode() + b"\n\n")
    ]
    return tuple(delta for event in events for delta in event.deltas)


@pytest.mark.parametrize("kind", WHOLE)
def test_a_picture_is_read_whole_and_streamed(kind: str) -> None:
    answer = ADAPTERS[kind].parse_chat(HttpResponse(200, {}, json.dumps(WHOLE[kind]).encode()))
    assert [part for part in answer.choices[0].content if isinstance(part, Image)] == [
        Image(data=PNG, media_type="image/png")
    ]
    made = [delta for delta in deltas_of(kind) if isinstance(delta, ImageDelta)]
    assert [(delta.data, delta.media_type) for delta in made] == [(PNG, "image/png")]
    assert [delta.text for delta in deltas_of(kind) if isinstance(delta, TextDelta)] == ["see"]


PLACES = {
    "chat": f'"images":[{{"type":"image_url","image_url":{{"url":"data:image/png;base64,{PNG}"}}}}]',
    "responses": f'"type":"image_generation_call","status":"completed","output_format":"png","result":"{PNG}"',
    "gemini": f'"inlineData":{{"mimeType":"image/png","data":"{PNG}"}}',
    "ollama": f'"images":["{PNG}"]',
}


@pytest.mark.parametrize("kind", WHOLE)
@pytest.mark.parametrize("front", PLACES)
def test_a_picture_is_told_whole_and_streamed(front: str, kind: str) -> None:
    answer = ADAPTERS[kind].parse_chat(HttpResponse(200, {}, json.dumps(WHOLE[kind]).encode()))
    wire = FRONTS[front]
    if answer.dialect != wire.name:
        assert PLACES[front] in wire.encode_response(answer).decode()
    encoder = wire.new_encoder(ASK)
    told = (encoder.encode(deltas_of(kind)) + encoder.finish()).decode()
    assert PLACES[front] in told
    assert "see" in told
    assert "provider_blocks" not in told


def test_claudes_clients_get_the_words_alone() -> None:
    answer = ADAPTERS["google"].parse_chat(HttpResponse(200, {}, json.dumps(GEMINI).encode()))
    wire = FRONTS["messages"]
    assert [block["text"] for block in json.loads(wire.encode_response(answer))["content"]] == ["see"]
    assert not wire.pictures, "and the answer's notes say so"
    encoder = wire.new_encoder(ASK)
    told = (encoder.encode(deltas_of("google")) + encoder.finish()).decode()
    assert PNG not in told
    assert told.count("content_block_start") == 2  # the event's name and its type


def test_mistrals_clients_get_a_chunk() -> None:
    encoder = MISTRAL.new_encoder(ASK)
    told = (encoder.encode(deltas_of("google")) + encoder.finish()).decode()
    assert f'"image_url":"data:image/png;base64,{PNG}"' in told


LIKELY = {
    "content": [
        {
            "token": "a",
            "logprob": -0.1,
            "bytes": [97],
            "top_logprobs": [{"token": "b", "logprob": -2.0, "bytes": [98]}],
        }
    ]
}
BY_GEMINI = {
    "chosenCandidates": [{"token": "a", "tokenId": 5, "logProbability": -0.1}],
    "topCandidates": [{"candidates": [{"token": "b", "logProbability": -2.0}]}],
}
BY_OLLAMA = [{"token": "a", "logprob": -0.1, "top_logprobs": [{"token": "b", "logprob": -2.0}]}]
LIKELY_ANSWERS = {
    "google": {
        "candidates": [
            {"content": {"parts": [{"text": "a"}]}, "finishReason": "STOP", "logprobsResult": BY_GEMINI}
        ]
    },
    "ollama": {
        "model": "m",
        "message": {"role": "assistant", "content": "a"},
        "logprobs": BY_OLLAMA,
        "done": True,
    },
}


@pytest.mark.parametrize("kind", LIKELY_ANSWERS)
def test_likelihoods_are_read_whole_and_streamed(kind: str) -> None:
    body = json.dumps(LIKELY_ANSWERS[kind]).encode()
    answer = ADAPTERS[kind].parse_chat(HttpResponse(200, {}, body))
    assert answer.choices[0].logprobs == LIKELY
    framed = body + b"\n" if kind == "ollama" else b"data: " + body + b"\n\n"
    events = ADAPTERS[kind].new_stream().feed(framed)
    texts = [delta for event in events for delta in event.deltas if isinstance(delta, TextDelta)]
    assert [delta.logprobs for delta in texts] == [LIKELY]


@pytest.mark.parametrize("kind", LIKELY_ANSWERS)
@pytest.mark.parametrize("front", ["chat", "responses", "gemini", "ollama"])
def test_likelihoods_are_told_whole_and_streamed(front: str, kind: str) -> None:
    body = json.dumps(LIKELY_ANSWERS[kind]).encode()
    answer = ADAPTERS[kind].parse_chat(HttpResponse(200, {}, body))
    parser = ADAPTERS[kind].new_stream()
    events = parser.feed(body + b"\n" if kind == "ollama" else b"data: " + body + b"\n\n")
    wire = FRONTS[front]
    encoder = wire.new_encoder(ASK)
    told = (encoder.encode(tuple(d for e in events for d in e.deltas)) + encoder.finish()).decode()
    wanted = '"logProbability":-0.1' if front == "gemini" else '"logprob":-0.1'
    assert wanted in told
    if answer.dialect != wire.name:
        assert wanted in wire.encode_response(answer).decode()
