"""Pictures, sounds and documents as Gemini and Ollama take them, and what is said of what they do not."""

from __future__ import annotations

from typing import Any

import pytest

from intellirouter.chat.gemini.parts import encode_media
from intellirouter.chat.model import ChatRequest, Message
from intellirouter.chat.ollama.encode import encode_request
from intellirouter.chat.parts import Audio, File, Image, Opaque, Part, RedactedThinking, Text, ToolResult
from intellirouter.errors import UnsupportedByTarget

URL = "https://example.com/a"


@pytest.mark.parametrize(
    ("part", "encoded", "noted"),
    [
        (Audio("QQ==", "mp3"), {"inlineData": {"mimeType": "audio/mp3", "data": "QQ=="}}, ""),
        (Image(data="QQ=="), {"inlineData": {"mimeType": "image/png", "data": "QQ=="}}, ""),
        (
            Image(data="QQ==", media_type="image/gif"),
            {"inlineData": {"mimeType": "image/gif", "data": "QQ=="}},
            "",
        ),
        (File(data="QQ=="), {"inlineData": {"mimeType": "application/pdf", "data": "QQ=="}}, ""),
        (File(text="words"), {"text": "words"}, ""),
        (File(text="words", filename="a.txt"), {"text": "a.txt:\nwords"}, ""),
        (File(text="words", filename="a.txt", title="Guide"), {"text": "Guide:\nwords"}, ""),
        (Image(url=URL), {"fileData": {"fileUri": URL}}, ""),
        (Image(url=URL, detail="low"), {"fileData": {"fileUri": URL}}, "'detail' was left out"),
        (File(url=URL, media_type="text/csv"), {"fileData": {"fileUri": URL, "mimeType": "text/csv"}}, ""),
    ],
)
def test_gemini_has_them_as_parts(part: Image | Audio | File, encoded: dict[str, Any], noted: str) -> None:
    notes: list[str] = []
    assert encode_media(part, notes) == encoded
    assert noted in " ".join(notes)
    assert len(notes) == bool(noted)


@pytest.mark.parametrize("part", [Image(file_id="file-1"), File(file_id="file-1")])
def test_gemini_has_no_files_of_other_vendors(part: Image | File) -> None:
    with pytest.raises(UnsupportedByTarget, match="by its id"):
        encode_media(part, [])


@pytest.mark.parametrize(
    ("parts", "turn", "noted"),
    [
        ((Text("a"), Text("b")), {"content": "a\nb"}, ""),
        ((Text("a"), Image(data="QQ==")), {"content": "a", "images": ["QQ=="]}, ""),
        ((File(text="words"),), {"content": "\nwords\n"}, "as part of the turn's text"),
        (
            (File(text="words", filename="a.txt"),),
            {"content": "\na.txt:\nwords\n"},
            "as part of the turn's text",
        ),
        ((File(text="words", title="Guide", filename="a"),), {"content": "\nGuide:\nwords\n"}, "turn's text"),
        ((Text("a"), Opaque("gemini", {})), {"content": "a"}, "A block only gemini knows was left out"),
        (
            (Text("a"), RedactedThinking("x")),
            {"content": "a"},
            "Encrypted reasoning of another vendor was left out",
        ),
    ],
)
def test_ollama_has_them_in_the_turn(parts: tuple[Part, ...], turn: dict[str, Any], noted: str) -> None:
    notes: list[str] = []
    body = encode_request(ChatRequest(model="m", messages=(Message("user", parts),)), notes)
    assert body["messages"] == [{"role": "user", **turn}]
    assert noted in " ".join(notes)
    assert len(notes) == bool(noted)


@pytest.mark.parametrize("part", [File(data="QQ=="), Audio("QQ=="), Image(url=URL), Image(file_id="file-1")])
def test_ollama_refuses_what_it_does_not_take(part: Part) -> None:
    with pytest.raises(UnsupportedByTarget):
        encode_request(ChatRequest(model="m", messages=(Message("user", (part,)),)), [])


def test_what_a_tool_gave_goes_to_ollama_as_words_alone() -> None:
    notes: list[str] = []
    result = ToolResult("call_1", (Text("broken"), Image(data="QQ==")), is_error=True)
    body = encode_request(ChatRequest(model="m", messages=(Message("tool", (result,)),)), notes)
    (turn,) = body["messages"]
    assert (turn["role"], turn["content"]) == ("tool", "Error: broken")
    assert [note.partition(" was ")[0].partition(" takes ")[0] for note in notes] == [
        "A tool result's error flag",
        "Ollama",
    ]
