"""Formats of one prompt and one text: OpenAI's legacy completions and Ollama's generate."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from intellirouter.chat.model import ChatRequest, Message, OutputFormat, Source, Tool
from intellirouter.chat.ollama.format import GENERATE_FORMAT
from intellirouter.chat.openai_completions.format import FORMAT
from intellirouter.chat.openai_completions.logprobs import decode_logprobs, encode_logprobs
from intellirouter.chat.openai_completions.stream import CompletionDecoder
from intellirouter.chat.parts import Image, Text
from intellirouter.chat.wire import WireFormat
from intellirouter.errors import InvalidRequest, UnsupportedByTarget, UpstreamProtocolError
from intellirouter.providers.adapter import HttpResponse, Target
from intellirouter.providers.table import ADAPTERS

TARGET = Target("p", "m", "http://host/v1")
LISTS: dict[str, Any] = {
    "tokens": ["Hi", " é"],
    "token_logprobs": [-0.5, -1.0],
    "top_logprobs": [{"Hi": -0.5, "Yo": -2.0}, {" é": -1.0}],
    "text_offset": [0, 2],
}


def said(*turns: tuple[str, str], **fields: Any) -> ChatRequest:
    messages = tuple(Message(role, (Text(words),)) for role, words in turns)  # type: ignore[arg-type]
    return ChatRequest(model="m", messages=messages, **fields)


@pytest.mark.parametrize(
    ("kind", "path"), [("openai_completions", "/v1/completions"), ("ollama_generate", "/api/generate")]
)
def test_a_lone_turn_is_the_prompt_and_a_conversation_a_transcript_with_a_note(kind: str, path: str) -> None:
    adapter = ADAPTERS[kind]
    built = adapter.build_chat(said(("user", "hi"), max_tokens=5, temperature=0.5), TARGET)
    assert built.url == f"http://host{path}"
    assert json.loads(built.body)["prompt"] == "hi"
    assert not built.notes
    built = adapter.build_chat(said(("user", "hi"), ("assistant", "ho"), ("user", "and?")), TARGET)
    assert json.loads(built.body)["prompt"] == "User: hi\n\nAssistant: ho\n\nUser: and?\n\nAssistant:"
    assert built.notes == ("The conversation was sent as one prompt, a line a turn.",)


def test_ollama_takes_a_system_prompt_and_pictures_beside_the_prompt() -> None:
    request = ChatRequest(
        model="m",
        messages=(
            Message("system", (Text("be brief"),)),
            Message("user", (Text("what?"), Image(data="aGk=", media_type="image/png"))),
        ),
    )
    body = GENERATE_FORMAT.encode_request(request, [])
    assert body == {
        "model": "m",
        "system": "be brief",
        "prompt": "what?",
        "images": ["aGk="],
        "stream": False,
    }


@pytest.mark.parametrize("wire", [FORMAT, GENERATE_FORMAT], ids=["completions", "generate"])
@pytest.mark.parametrize(
    "request_",
    [
        said(("user", "hi"), tools=(Tool("f"),)),
        said(("user", "hi"), modalities=("text", "audio")),
        ChatRequest(model="m", messages=(Message("user", (Image(url="https://x/y"),)),)),
    ],
    ids=["tools", "speech", "picture by url"],
)
def test_what_a_prompt_cannot_say_is_refused(wire: WireFormat, request_: ChatRequest) -> None:
    with pytest.raises(UnsupportedByTarget):
        wire.encode_request(request_, [])


def test_completions_cannot_be_held_to_json() -> None:
    with pytest.raises(UnsupportedByTarget):
        FORMAT.encode_request(said(("user", "hi"), output=OutputFormat("json")), [])


@pytest.mark.parametrize("wire", [FORMAT, GENERATE_FORMAT], ids=["completions", "generate"])
def test_the_same_dialect_goes_through_unchanged(wire: WireFormat) -> None:
    body = {"model": "alias", "prompt": "hi", "novelty": 1, "stream": False}
    request = wire.decode_request(body, {})
    assert request.source == Source(wire.name, body)
    sent = wire.encode_request(request.routed(model="m"), [])
    assert {"stream": False, **sent} == {**body, "model": "m"}
    anew = wire.encode_request(request.changed(), [])
    assert anew["novelty"] == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [("suffix", "x"), ("echo", True), ("best_of", 2), ("prompt", ["a", "b"]), ("logprobs", 9)],
)
def test_what_no_chat_model_does_is_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(InvalidRequest) as refused:
        FORMAT.decode_request({"model": "m", "prompt": "x", field: value}, {})
    assert refused.value.param == field


def test_log_probabilities_survive_both_ways() -> None:
    request = FORMAT.decode_request({"model": "m", "prompt": "x", "logprobs": 2}, {})
    assert (request.logprobs, request.top_logprobs) == (True, 2)
    content = decode_logprobs(LISTS)
    assert content is not None
    assert content["content"][1]["bytes"] == [32, 195, 169]
    assert encode_logprobs(content) == LISTS
    answer = {
        "id": "i",
        "model": "m",
        "choices": [{"index": 0, "text": "Hi é", "finish_reason": "stop", "logprobs": LISTS}],
    }
    response = ADAPTERS["openai_completions"].parse_chat(HttpResponse(200, {}, json.dumps(answer).encode()))
    again = json.loads(FORMAT.encode_response(msgspec.structs.replace(response, raw=None)))
    assert again["choices"] == answer["choices"]


@pytest.mark.parametrize("index", [-1, 256, 2**62])
def test_a_stream_of_completions_has_no_answer_of_a_number_that_none_has(index: int) -> None:
    event = json.dumps({"choices": [{"index": index, "text": "Hi"}]}).encode()
    with pytest.raises(UpstreamProtocolError, match="of a number that none has"):
        CompletionDecoder().decode("", event)
