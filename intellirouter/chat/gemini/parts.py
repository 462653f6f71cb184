"""Gemini's content parts, both directions."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from typing import Any

import msgspec

from intellirouter.chat.custom_tools import arguments_object
from intellirouter.chat.fields import Json
from intellirouter.chat.media import audio_name, type_by_name
from intellirouter.chat.parts import (
    Audio,
    File,
    Image,
    Opaque,
    Part,
    RedactedThinking,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Vendor,
)
from intellirouter.chat.sealed_thoughts import unsealed
from intellirouter.errors import UnsupportedByTarget

DIALECT = "gemini"
VENDOR: Vendor = "google"
ANY_SIGNATURE = (
    "skip_thought_signature_validator"  # Google's word for a call that another vendor's model made
)
_OUR_IDS = "call_gemini_"
_PLAIN = str.maketrans("-_", "+/")
_URL_SAFE = re.compile(r"[A-Za-z0-9_-]{32,}={0,2}")  # long, as signatures are


def pick(data: Json, name: str) -> Any:
    """The value of a camelCase name, also under its snake_case name."""
    if name in data:
        return data[name]
    return data.get(_snake(name))


@functools.cache
def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name)


def make_call_id(response_id: str, index: int) -> str:
    """An id for a call that came without one; the same for the same answer, however it was read."""
    return f"{_OUR_IDS}{response_id or '0'}_{index}"


def decode_call(call: Json, fallback_id: str, signature: str | None) -> ToolCall:
    """A `functionCall`."""
    arguments = msgspec.json.encode(call.get("args") or {}).decode()
    return ToolCall(
        str(call.get("id") or fallback_id), str(call.get("name") or ""), arguments, signature=signature
    )


def joined(pieces: Iterable[Part]) -> list[Part]:
    """The parts that pieces make: Google cuts one text into several, and a signature ends a piece that must stay whole."""
    parts: list[Part] = []
    open_texts: list[Text | Thinking] = []  # pieces of the last one

    def close() -> None:
        if open_texts:
            words = "".join(piece.text for piece in open_texts) if len(open_texts) > 1 else open_texts[0].text
            parts.append(msgspec.structs.replace(open_texts[-1], text=words))
            open_texts.clear()

    for piece in pieces:
        if not isinstance(piece, (Text, Thinking)):
            close()
            parts.append(piece)
            continue
        if open_texts and type(open_texts[-1]) is not type(piece):
            close()
        open_texts.append(piece)
        if piece.signature is not None or (isinstance(piece, Thinking) and piece.encrypted is not None):
            close()
    close()
    return parts


def decode_part(part: Json, fallback_id: str) -> Part | None:
    """One part of a turn; None for an empty one."""
    signature = pick(part, "thoughtSignature")
    if isinstance(call := pick(part, "functionCall"), dict):
        return decode_call(call, fallback_id, signature)
    if isinstance(result := pick(part, "functionResponse"), dict):
        return _decode_result(result, fallback_id)
    if isinstance(inline := pick(part, "inlineData"), dict):
        return _decode_media(pick(inline, "mimeType"), data=inline.get("data"))
    if isinstance(file := pick(part, "fileData"), dict):
        return _decode_media(pick(file, "mimeType"), url=pick(file, "fileUri"))
    text = part.get("text")
    if part.get("thought") is True:
        return unsealed(str(text or ""), _plain_signature(signature), VENDOR)
    if isinstance(text, str):
        return Text(text, signature=signature)
    if signature:
        return Text("", signature=signature)
    return Opaque(DIALECT, part, _said(part)) if part else None


def _said(part: Json) -> tuple[Text, ...]:
    """The code that Google ran, and what it printed, in words."""
    code, result = pick(part, "executableCode"), pick(part, "codeExecutionResult")
    if isinstance(code, dict) and isinstance(written := code.get("code"), str):
        language = str(code.get("language") or "").lower()
        return (Text(f"```{language}\n{written}\n```"),)
    if isinstance(result, dict) and isinstance(printed := result.get("output"), str) and printed:
        return (Text(f"```\n{printed}\n```"),)
    return ()


def _decode_media(media_type: Any, data: Any = None, url: Any = None) -> Part:
    kind = media_type if isinstance(media_type, str) else None
    data = _plain_base64(data) if isinstance(data, str) else None
    url = url if isinstance(url, str) else None
    if kind and kind.startswith("image/"):
        return Image(url=url, data=data, media_type=kind)
    if kind and kind.startswith("audio/") and data is not None:
        return Audio(data, audio_name(kind))
    return File(url=url, data=data, media_type=kind)


def _plain_base64(data: str) -> str:
    """Google's own clients send the URL-safe alphabet, which no other vendor reads; all read the plain one."""
    if "-" in data or "_" in data:
        data = data.translate(_PLAIN)
    return data + "=" * (-len(data) % 4)


def _plain_signature(signature: Any) -> str | None:
    """Another vendor's signature as it was: Google's clients write what are bytes to them in the other alphabet."""
    if not isinstance(signature, str) or not _URL_SAFE.fullmatch(signature) or len(signature) % 4:
        return signature if isinstance(signature, str) else None
    return signature.translate(_PLAIN)


def _decode_result(result: Json, fallback_id: str) -> ToolResult:
    response = result.get("response")
    failed = isinstance(response, dict) and set(response) == {"error"}
    value = response
    if isinstance(response, dict) and len(response) == 1:
        value = next((response[key] for key in ("error", "result", "output") if key in response), response)
    text = (
        value if isinstance(value, str) else msgspec.json.encode(value if value is not None else {}).decode()
    )
    name = result.get("name")
    return ToolResult(
        str(result.get("id") or fallback_id),
        (Text(text), *_media_of(result)),
        name=name if isinstance(name, str) else None,
        is_error=failed,
    )


def _media_of(result: Json) -> list[Image | Audio | File]:
    """Pictures and documents beside a tool's answer."""
    parts = result.get("parts")
    found: list[Image | Audio | File] = []
    for part in parts if isinstance(parts, list) else ():
        media = decode_part(part, "") if isinstance(part, dict) else None
        if isinstance(media, (Image, Audio, File)):
            found.append(media)
    return found


def encode_part(part: Part, names: dict[str, str], notes: list[str]) -> Json | None:
    """One part of a request; None for what is left out with a note. `names` gives a call's name by its id."""
    match part:
        case Text():
            return signed({"text": part.text}, part.signature)
        case Thinking():
            if not part.taken_by(VENDOR):  # another vendor's thoughts mean nothing to Google
                notes.append("Reasoning of another provider was left out.")
                return None
            return signed({"text": part.text, "thought": True}, part.signature)
        case ToolCall():
            return signed({"functionCall": encode_call(part)}, part.signature)
        case ToolResult():
            return {"functionResponse": _encode_result(part, names, notes)}
        case Refusal():
            return {"text": part.text}
        case RedactedThinking():
            notes.append("Encrypted reasoning of another provider was left out.")
            return None
        case Opaque():
            if part.dialect == DIALECT:
                return part.data
            notes.append(f"A block only {part.dialect} knows was left out.")
            return None
        case Image() | Audio() | File():
            return encode_media(part, notes)


def signed(part: Json, signature: str | None) -> Json:
    """The part with its thought signature."""
    return part if signature is None else {**part, "thoughtSignature": signature}


def encode_call(call: ToolCall) -> Json:
    """A `functionCall`; an id we made up stays ours."""
    encoded: Json = {"name": call.name, "args": arguments_object(call)}
    if call.id and not call.id.startswith(_OUR_IDS):
        encoded["id"] = call.id
    return encoded


def _encode_result(result: ToolResult, names: dict[str, str], notes: list[str]) -> Json:
    text = "\n".join(part.text for part in result.content if isinstance(part, Text))
    media = [part for part in result.content if isinstance(part, (Image, Audio, File))]
    if any(isinstance(part, Opaque) for part in result.content):
        notes.append("A block of a tool result was left out: Gemini has no such kind.")
    response: Any = None
    if not result.is_error:
        try:
            response = msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError):
            response = None
    if not isinstance(response, dict):
        response = {"error" if result.is_error else "result": text}
    encoded: Json = {"name": result.name or names.get(result.call_id) or result.call_id, "response": response}
    if media:
        encoded["parts"] = [encode_media(part, notes) for part in media]
    if not result.call_id.startswith(_OUR_IDS):
        encoded["id"] = result.call_id
    return encoded


def encode_media(part: Image | Audio | File, notes: list[str]) -> Json:
    """A picture, a sound or a document as a part."""
    if isinstance(part, Audio):
        return {"inlineData": {"mimeType": f"audio/{part.format}", "data": part.data}}
    if isinstance(part, File) and part.text is not None:
        title = part.title or part.filename
        return {"text": f"{title}:\n{part.text}" if title else part.text}
    fallback = "image/png" if isinstance(part, Image) else "application/pdf"
    if part.data is not None:
        return {"inlineData": {"mimeType": part.media_type or fallback, "data": part.data}}
    if part.url is None:
        raise UnsupportedByTarget("A file of another provider, by its id, cannot be sent to Gemini.")
    if isinstance(part, Image) and part.detail:
        notes.append("An image's 'detail' was left out: Gemini has no such setting.")
    file: Json = {"fileUri": part.url}
    if kind := part.media_type or type_by_name(part.url):  # Vertex wants it
        file["mimeType"] = kind
    return {"fileData": file}
