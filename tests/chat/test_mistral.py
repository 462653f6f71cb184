"""Mistral's dialect: its own words in, its own words out, and what goes through unchanged."""

from __future__ import annotations

import json
from typing import Any

import pytest

from intellirouter.chat.mistral.format import FORMAT
from intellirouter.chat.mistral.request import call_id
from intellirouter.chat.openai_chat.format import FORMAT as OPENAI
from intellirouter.chat.parts import Audio, File, Image, Part, Text, Thinking, ToolCall
from intellirouter.chat.response import ChatResponse, Choice
from intellirouter.errors import InvalidRequest

PDF = "data:application/pdf;base64,aGk="


def body(*messages: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"model": "m", "messages": list(messages), **more}


CHUNKS: dict[str, tuple[dict[str, Any], Part]] = {
    "a picture as a string": (
        {"type": "image_url", "image_url": "https://x/p.png"},
        Image(url="https://x/p.png"),
    ),
    "a picture inline": (
        {"type": "image_url", "image_url": "data:image/png;base64,aGk="},
        Image(data="aGk=", media_type="image/png"),
    ),
    "a document by its address": (
        {"type": "document_url", "document_url": "https://x/d.pdf", "document_name": "d.pdf"},
        File(url="https://x/d.pdf", filename="d.pdf"),
    ),
    "a document inline": (
        {"type": "document_url", "document_url": PDF},
        File(data="aGk=", media_type="application/pdf"),
    ),
    "a file that was sent before": ({"type": "file", "file_id": "f1"}, File(file_id="f1")),
    "speech": ({"type": "input_audio", "input_audio": "aGk="}, Audio("aGk=", "wav")),
    "speech with its type": (
        {"type": "input_audio", "input_audio": "data:audio/mpeg;base64,aGk="},
        Audio("aGk=", "mp3"),
    ),
}


@pytest.mark.parametrize("name", CHUNKS)
def test_what_a_chunk_says_is_understood(name: str) -> None:
    chunk, part = CHUNKS[name]
    said = body({"role": "user", "content": [{"type": "text", "text": "Look."}, chunk]})
    assert FORMAT.decode_request(said, {}).messages[0].content == (Text("Look."), part)


def test_a_thought_of_an_earlier_turn_is_one() -> None:
    thought = {
        "type": "thinking",
        "thinking": [{"type": "text", "text": "Hm"}, {"type": "text", "text": "."}],
    }
    said = body({"role": "assistant", "content": [thought, {"type": "text", "text": "Yes."}]})
    assert FORMAT.decode_request(said, {}).messages[0].content == (Thinking("Hm."), Text("Yes."))


def test_its_own_settings_reach_it_and_others_are_told_in_theirs() -> None:
    asked = body(
        {"role": "user", "content": "x"}, random_seed=7, safe_prompt=True, tool_choice="any", persona="p"
    )
    chat = FORMAT.decode_request(asked, {})
    assert (chat.seed, chat.include_usage, chat.options is not None) == (7, True, True)
    sent = FORMAT.encode_request(chat, [])
    assert (sent["random_seed"], sent["safe_prompt"], sent["tool_choice"]) == (7, True, "any")
    assert not {"seed", "persona"} & sent.keys()
    told = OPENAI.encode_request(chat, [])
    assert told["seed"] == 7
    assert not {"random_seed", "safe_prompt"} & told.keys()
    again = FORMAT.encode_request(chat.changed(), [])
    assert (again["random_seed"], again["safe_prompt"]) == (7, True)


def test_a_prefix_that_is_not_one_says_nothing() -> None:
    turn = {"role": "assistant", "content": "Once", "prefix": False}
    chat = FORMAT.decode_request(body({"role": "user", "content": "x"}, turn), {})
    assert chat.messages[1].extra == {}
    assert FORMAT.encode_request(chat, [])["messages"][1] == turn
    opened = FORMAT.decode_request(body({"role": "user", "content": "x"}, {**turn, "prefix": True}), {})
    assert FORMAT.encode_request(opened.changed(), [])["messages"][1]["prefix"] is True


def test_calls_of_other_vendors_get_ids_that_it_takes_in_a_body_of_its_own_too() -> None:
    call = {"id": "toolu_0123456789", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    result = {"role": "tool", "tool_call_id": "toolu_0123456789", "content": "y"}
    asked = body({"role": "user", "content": "x"}, {"role": "assistant", "tool_calls": [call]}, result)
    sent = FORMAT.encode_request(FORMAT.decode_request(asked, {}), [])["messages"]
    assert sent[1]["tool_calls"][0]["id"] == sent[2]["tool_call_id"] == call_id("toolu_0123456789")
    assert asked["messages"][2]["tool_call_id"] == "toolu_0123456789"


def test_openais_parts_are_said_in_its_words() -> None:
    parts = [
        {"type": "file", "file": {"file_data": PDF, "filename": "d.pdf"}},
        {"type": "input_audio", "input_audio": {"data": "aGk=", "format": "wav"}},
    ]
    chat = OPENAI.decode_request(
        body({"role": "user", "content": parts}, {"role": "assistant", "parsed": 1}), {}
    )
    turns = FORMAT.encode_request(chat, [])["messages"]
    assert turns[0]["content"] == [
        {"type": "document_url", "document_url": PDF, "document_name": "d.pdf"},
        {"type": "input_audio", "input_audio": "aGk="},
    ]
    assert "parsed" not in turns[1]


def test_a_whole_answer_is_its_own_and_a_call_a_call() -> None:
    message = {"role": "assistant", "content": "", "tool_calls": [
        {"id": "abcdefghi", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}, "index": 0}
    ]}  # fmt: skip
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    raw = json.dumps(
        {
            "id": "x",
            "object": "chat.completion",
            "created": 1,
            "model": "m",
            "choices": [choice],
            "usage": usage,
        }
    ).encode()
    answer = FORMAT.decode_response(raw)
    assert answer.choices[0].tool_calls == (ToolCall("abcdefghi", "f", '{"a": 1}'),)
    assert (answer.dialect, FORMAT.encode_response(answer)) == ("mistral", raw)


@pytest.mark.parametrize(
    "wrong",
    [
        {"messages": "x"},
        {"messages": [1]},
        {"messages": [{"role": "user", "content": "x"}], "random_seed": "x"},
    ],
)
def test_nonsense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        FORMAT.decode_request({"model": "m", **wrong}, {})


def test_an_answer_with_thoughts_is_told_in_chunks() -> None:
    content = (Thinking("Hm."), Text("Yes."))
    told = json.loads(
        FORMAT.encode_response(ChatResponse(id="r", model="m", choices=(Choice(content=content),)))
    )
    assert told["choices"][0]["message"]["content"] == [
        {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]},
        {"type": "text", "text": "Yes."},
    ]
