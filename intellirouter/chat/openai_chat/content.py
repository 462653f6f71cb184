"""Message content, both directions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from intellirouter.chat import fields
from intellirouter.chat.fields import Json, at
from intellirouter.chat.media import audio_name, bare_picture, split_data_url, type_by_name
from intellirouter.chat.parts import (
    NO_ARGUMENTS,
    Audio,
    CacheMarker,
    File,
    Image,
    Opaque,
    Part,
    RedactedThinking,
    Refusal,
    Text,
    Thinking,
    ToolCall,
)
from intellirouter.chat.sealed_thoughts import unsealed, vendor_of
from intellirouter.errors import InvalidRequest

DIALECT = "openai_chat"


def cache_marker(part: Json) -> CacheMarker | None:
    """OpenRouter's `cache_control` on a part."""
    marker = part.get("cache_control")
    return CacheMarker(ttl=marker.get("ttl")) if isinstance(marker, dict) else None


def encode_cache_marker(marker: CacheMarker | None) -> Json:
    """The same on its way out, or nothing."""
    if marker is None:
        return {}
    return {"cache_control": {"type": "ephemeral"} | ({"ttl": marker.ttl} if marker.ttl else {})}


def decode_content(value: Any, path: str) -> tuple[Part, ...]:
    """A string, null, or an array of parts."""
    if type(value) is str:
        return (Text(value),)
    if value is None:
        return ()
    if type(value) is not list:
        fields.wrong(path, "a string or an array of parts", value)
    return tuple(_decode_part(part, f"{path}[{position}]") for position, part in enumerate(value))


def _decode_part(part: Any, path: str) -> Part:
    if type(part) is str:
        return Text(part)
    if type(part) is not dict:
        fields.wrong(path, "an object", part)
    kind = part.get("type")
    if kind == "text":
        value = fields.text(part, "text", path)
        if value is None:
            fields.missing(at(path, "text"))
        return Text(value, cache=cache_marker(part))
    if isinstance(kind, str) and (reader := _MEDIA.get(kind)) is not None:
        return reader(part, path)
    if kind == "thinking":
        return unsealed(thinking_words(part.get("thinking")), fields.text(part, "signature", path), "mistral")
    if kind == "refusal":
        return Refusal(fields.text(part, "refusal", path) or "")
    if not isinstance(kind, str):
        raise InvalidRequest(f"'{at(path, 'type')}' must name the kind of part.", param=at(path, "type"))
    return Opaque(DIALECT, part)


def pictures_in(value: Any) -> list[Image]:
    """The `images` of an answer, as OpenRouter and Google's compatible endpoint write them."""
    found: list[Image] = []
    for one in value if isinstance(value, list) else ():
        try:
            found.append(_decode_image(one, "images"))
        except (InvalidRequest, AttributeError):
            continue
    return found


def encode_picture(url: str | None, data: str | None, media_type: str | None) -> Json:
    """One of an answer's `images`."""
    link = url or f"data:{media_type or 'image/png'};base64,{data or ''}"
    return {"type": "image_url", "image_url": {"url": link}}


def _decode_image(part: Json, path: str) -> Image:
    source = part.get("image_url")
    if isinstance(source, str):  # several clients send the URL itself
        source = {"url": source}
    if type(source) is not dict:
        fields.wrong(at(path, "image_url"), "an object", source)
    url = fields.required_text(source, "url", at(path, "image_url"))
    detail = fields.text(source, "detail", at(path, "image_url"))
    if inline := split_data_url(url):
        return Image(media_type=inline[0], data=inline[1], detail=detail, cache=cache_marker(part))
    if (kind := bare_picture(url)) is not None:
        return Image(media_type=kind, data=url, detail=detail, cache=cache_marker(part))
    return Image(url=url, detail=detail, cache=cache_marker(part))


def _decode_audio(part: Json, path: str) -> Audio:
    if isinstance(plain := part.get("input_audio"), str):  # Mistral's: base64, or a data: URL
        kind, data = split_data_url(plain) or ("audio/wav", plain)
        return Audio(data=data, format=audio_name(kind))
    audio = fields.mapping(part, "input_audio", path) or fields.missing(at(path, "input_audio"))
    inside = at(path, "input_audio")
    return Audio(
        data=fields.required_text(audio, "data", inside),
        format=fields.text(audio, "format", inside) or "wav",
    )


def _decode_document(part: Json, path: str) -> File:
    """Mistral's `document_url`."""
    url, name = fields.required_text(part, "document_url", path), fields.text(part, "document_name", path)
    if inline := split_data_url(url):
        return File(media_type=inline[0], data=inline[1], filename=name)
    return File(url=url, filename=name)


def _decode_file(part: Json, path: str) -> File:
    if part.get("file") is None and isinstance(file_id := part.get("file_id"), str):  # Mistral's
        return File(file_id=file_id)
    file = fields.mapping(part, "file", path) or fields.missing(at(path, "file"))
    inside = at(path, "file")
    data = fields.text(file, "file_data", inside)
    file_id, url, media_type = fields.text(file, "file_id", inside), None, fields.text(file, "format", inside)
    if data and (inline := split_data_url(data)):
        media_type, data = inline
    elif data and _is_url(data):  # OpenRouter takes one for the other
        url, data = data, None
    if file_id and _is_url(file_id):
        url, file_id = file_id, None
    return File(
        url=url,
        data=data,
        media_type=media_type,
        file_id=file_id,
        filename=fields.text(file, "filename", inside),
        cache=cache_marker(part),
    )


def _is_url(word: str) -> bool:
    return word.startswith(("https://", "http://", "gs://"))


def _decode_video(part: Json, path: str) -> File:
    """A video, as vLLM, OpenRouter and others take it."""
    source = part.get("video_url")
    url = (
        source
        if isinstance(source, str)
        else fields.required_text(fields.mapping(part, "video_url", path) or {}, "url", at(path, "video_url"))
    )
    if inline := split_data_url(url):
        return File(media_type=inline[0], data=inline[1])
    kind = type_by_name(url) or "video/mp4"
    return File(url=url, media_type=kind if kind.startswith("video/") else "video/mp4")


_MEDIA: dict[str, Callable[[Json, str], Part]] = {
    "image_url": _decode_image,
    "input_audio": _decode_audio,
    "file": _decode_file,
    "document_url": _decode_document,
    "video_url": _decode_video,
}


def encode_audio(part: Audio) -> Json:
    """The `audio` of an answer that is spoken."""
    return {
        "id": part.id or "",
        "data": part.data,
        "transcript": part.transcript or "",
        "expires_at": part.expires_at or 0,
    }


def thinking_words(value: Any) -> str:
    """The words of Mistral's `thinking` chunk: a string, or an array of text chunks."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "".join(str(item.get("text") or "") for item in value if isinstance(item, dict))
    return ""


def decode_thinking(message: Json) -> tuple[Part, ...]:
    """Reasoning a client sends back: signed blocks where it kept them, else the plain text."""
    blocks = message.get("thinking_blocks")
    if isinstance(blocks, list) and blocks:
        return tuple(_decode_thinking_block(block) for block in blocks if isinstance(block, dict))
    told = (message.get(key) for key in ("reasoning_content", "reasoning"))
    words: str = next((word for word in told if isinstance(word, str) and word), "")
    details = message.get("reasoning_details")
    if isinstance(details, list) and details:  # OpenRouter's, which it wants back as they are
        return (Thinking(words or words_in(details), seal_details(details), signer="openrouter"),)
    return (Thinking(words),) if words else ()


def words_in(details: list[Any]) -> str:
    """What OpenRouter's `reasoning_details` say in words."""
    told = (one.get("text") or one.get("summary") for one in details if isinstance(one, dict))
    return "".join(word for word in told if isinstance(word, str))


def seal_details(details: list[Any]) -> str:
    """`reasoning_details` as the signature that they are to the gateway behind them."""
    return msgspec.json.encode(details).decode()


def _decode_thinking_block(block: Json) -> Part:
    if block.get("type") == "redacted_thinking":
        return RedactedThinking(str(block.get("data", "")))
    signature, encrypted, id_ = (_words(block, name) for name in ("signature", "encrypted_content", "id"))
    text = str(block.get("thinking") or "")
    return Thinking(text, signature, encrypted, id_, vendor_of(block.get("signer")))


def _words(block: Json, name: str) -> str | None:
    value = block.get(name)
    return value if isinstance(value, str) else None


def encode_thinking(parts: tuple[Part, ...]) -> Json:
    """`reasoning_content` and, where a vendor needs blocks back unchanged, `thinking_blocks`."""
    thoughts = [part for part in parts if isinstance(part, (Thinking, RedactedThinking))]
    if not thoughts:
        return {}
    encoded: Json = {}
    if words := "".join(part.text for part in thoughts if isinstance(part, Thinking)):
        encoded["reasoning_content"] = words
    if details := [one for part in thoughts for one in details_of(part)]:
        encoded["reasoning_details"] = details
    if any(_needs_block(part) for part in thoughts):
        encoded["thinking_blocks"] = [encode_thinking_block(part) for part in thoughts]
    return encoded


def _needs_block(part: Thinking | RedactedThinking) -> bool:
    """Whether a part holds more than words and OpenRouter's details say."""
    if isinstance(part, RedactedThinking) or part.encrypted:
        return True
    return part.id is not None if details_of(part) else bool(part.signature)


def details_of(part: Part) -> list[Any]:
    """OpenRouter's `reasoning_details` as they came; none where a part is another vendor's or holds none."""
    if not isinstance(part, Thinking) or part.signer != "openrouter":
        return []
    try:
        details = msgspec.json.decode(part.signature or "[]")
    except (msgspec.DecodeError, RecursionError):
        return []
    return details if isinstance(details, list) else []


def encode_thinking_block(part: Thinking | RedactedThinking) -> Json:
    """One entry of `thinking_blocks`."""
    if isinstance(part, RedactedThinking):
        return {"type": "redacted_thinking", "data": part.data}
    optional = {
        "signature": part.signature,
        "signer": part.signer,
        "encrypted_content": part.encrypted,
        "id": part.id,
    }
    return {"type": "thinking", "thinking": part.text} | {k: v for k, v in optional.items() if v is not None}


def decode_tool_call(call: Json, path: str) -> ToolCall:
    """One entry of `tool_calls`."""
    kind = call.get("type") or "function"
    signature = _google_signature(call)
    if kind == "custom":
        custom = fields.mapping(call, "custom", path) or fields.missing(at(path, "custom"))
        name, arguments = fields.text(custom, "name", path), fields.text(custom, "input", path)
        return ToolCall(fields.text(call, "id", path) or "", name or "", arguments or "", "custom", signature)
    function = fields.mapping(call, "function", path) or fields.missing(at(path, "function"))
    inside = at(path, "function")
    return ToolCall(
        id=fields.text(call, "id", path) or "",
        name=fields.text(function, "name", inside) or "",
        arguments=_arguments(function, inside),
        signature=signature,
    )


def _arguments(function: Json, path: str) -> str:
    """The text of a call's arguments; llama.cpp and others write the object itself, and clients send it back so."""
    given = function.get("arguments")
    if isinstance(given, dict):
        return msgspec.json.encode(given).decode()
    return fields.text(function, "arguments", path) or NO_ARGUMENTS


def has_no_text(calls: Any) -> bool:
    """Whether the arguments of one of `tool_calls` are not the text of an object: the object itself, or nothing."""
    for call in calls if isinstance(calls, list) else ():
        function = call.get("function") if isinstance(call, dict) else None
        given = function.get("arguments") if isinstance(function, dict) else "{}"
        if not given or isinstance(given, dict):
            return True
    return False


def encode_tool_call(call: ToolCall) -> Json:
    """One entry of `tool_calls`."""
    encoded: Json = {"id": call.id, "type": call.kind}
    if call.kind == "custom":
        encoded["custom"] = {"name": call.name, "input": call.arguments}
    else:
        encoded["function"] = {"name": call.name, "arguments": call.arguments}
    if call.signature:
        encoded["extra_content"] = {"google": {"thought_signature": call.signature}}
    return encoded


def _google_signature(call: Json) -> str | None:
    extra = call.get("extra_content")
    google = extra.get("google") if isinstance(extra, dict) else None
    if not isinstance(google, dict):  # LiteLLM's place for it
        google = call.get("provider_specific_fields")
    signature = google.get("thought_signature") if isinstance(google, dict) else None
    return signature if isinstance(signature, str) else None
