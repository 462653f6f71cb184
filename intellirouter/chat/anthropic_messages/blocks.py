"""Content blocks, both directions."""

from __future__ import annotations

import base64
import re
import zlib
from collections.abc import Sequence
from typing import Any

import msgspec

from intellirouter.chat import fields
from intellirouter.chat.citations import is_ours
from intellirouter.chat.custom_tools import arguments_object
from intellirouter.chat.fields import Json, at
from intellirouter.chat.parts import (
    Audio,
    CacheMarker,
    File,
    Image,
    Opaque,
    Part,
    RedactedThinking,
    Refusal,
    ResultPart,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Vendor,
)
from intellirouter.chat.sealed_thoughts import unsealed
from intellirouter.errors import InvalidRequest, UnsupportedByTarget

DIALECT = "anthropic_messages"
VENDOR: Vendor = "anthropic"
_ID = re.compile(r"[a-zA-Z0-9_-]+")
_FOREIGN = re.compile(r"[^a-zA-Z0-9_-]")


def decode_cache(block: Json) -> CacheMarker | None:
    """A `cache_control` breakpoint."""
    marker = block.get("cache_control")
    return CacheMarker(ttl=marker.get("ttl")) if isinstance(marker, dict) else None


def encode_cache(marker: CacheMarker | None) -> Json:
    """A `cache_control` field, or nothing."""
    if marker is None:
        return {}
    return {"cache_control": {"type": "ephemeral"} | ({"ttl": marker.ttl} if marker.ttl else {})}


def decode_content(value: Any, path: str) -> tuple[Part, ...]:
    """A string or an array of blocks."""
    if type(value) is str:
        return (Text(value),)
    if type(value) is not list:
        if value is None:
            fields.missing(path)
        fields.wrong(path, "a string or an array of blocks", value)
    return tuple(_decode_block(block, f"{path}[{i}]") for i, block in enumerate(value))


def _decode_block(block: Any, path: str) -> Part:
    if type(block) is str:  # never documented, yet sent by some clients
        return Text(block)
    if type(block) is not dict:
        fields.wrong(path, "an object", block)
    match block.get("type"):
        case "text":
            text = fields.text(block, "text", path)
            if text is None:
                fields.missing(at(path, "text"))
            return Text(text, decode_cache(block), citations=tuple(fields.objects(block, "citations", path)))
        case "image":
            return _decode_image(block, path)
        case "document":
            return _decode_document(block, path)
        case "tool_use":
            return ToolCall(
                id=fields.required_text(block, "id", path),
                name=fields.required_text(block, "name", path),
                arguments=encode_arguments(block.get("input")),
                cache=decode_cache(block),
            )
        case "tool_result":
            return _decode_tool_result(block, path)
        case "thinking":
            words = fields.text(block, "thinking", path) or ""
            return unsealed(words, fields.text(block, "signature", path), VENDOR)
        case "redacted_thinking":
            return RedactedThinking(fields.required_text(block, "data", path))
        case str():
            return _decode_own(block)
        case _:
            raise InvalidRequest(f"'{at(path, 'type')}' must name the kind of block.", param=at(path, "type"))


def _decode_own(block: Json) -> Opaque:
    """A block only this dialect has, with what it says in words where it says any."""
    match block["type"]:
        case "search_result":
            return Opaque(DIALECT, block, _said(block.get("content"), block, ("title", "source")))
        case "tool_reference":
            return Opaque(DIALECT, block, (Text(f"The tool '{block.get('tool_name')}' can be called."),))
        case "compaction":
            return Opaque(DIALECT, block, _said(block.get("content"), block, ()))
        case "mcp_tool_result":
            return Opaque(DIALECT, block, _said(block.get("content"), block, ()))
        case kind if kind.endswith("_tool_result"):
            return Opaque(DIALECT, block, tuple(map(Text, told_by_server(block.get("content")))))
        case _:
            return Opaque(DIALECT, block)


def told_by_server(content: Any) -> list[str]:
    """The words of what a tool on the vendor's side returned: what a program printed, a page that was fetched, what was found."""
    match content:
        case list():
            found = [one for one in content if isinstance(one, dict)]
            return [
                f"{one.get('title') or ''} {one['url']}".strip()
                for one in found
                if isinstance(one.get("url"), str)
            ]
        case {"stdout": str() as printed, **more}:
            return [word for word in (printed, more.get("stderr")) if isinstance(word, str) and word]
        case {"content": {"source": {"type": "text", "data": str() as page}}, **more}:
            return [f"{more['url']}:\n{page}" if isinstance(more.get("url"), str) else page]
        case {"content": str() as page} if page:
            return [page]
        case _:
            return []


def encode_arguments(value: Any) -> str:
    """A tool's input object as the JSON text other dialects carry."""
    return msgspec.json.encode({} if value is None else value).decode()


def _source(block: Json, path: str) -> Json:
    return fields.mapping(block, "source", path) or fields.missing(at(path, "source"))


def _decode_image(block: Json, path: str) -> Image:
    source, cache = _source(block, path), decode_cache(block)
    inside = at(path, "source")
    match source.get("type"):
        case "base64":
            data = fields.required_text(source, "data", inside)
            return Image(data=data, media_type=fields.text(source, "media_type", inside), cache=cache)
        case "url":
            return Image(url=fields.required_text(source, "url", inside), cache=cache)
        case "file":
            return Image(file_id=fields.required_text(source, "file_id", inside), cache=cache)
        case _:
            raise InvalidRequest(f"'{inside}.type' must be base64, url or file.", param=f"{inside}.type")


def _decode_document(block: Json, path: str) -> Part:
    source = _source(block, path)
    inside = at(path, "source")
    citations = block.get("citations")
    about: dict[str, Any] = {
        "title": fields.text(block, "title", path),
        "context": fields.text(block, "context", path),
        "citations": isinstance(citations, dict) and citations.get("enabled") is True,
        "cache": decode_cache(block),
    }
    match source.get("type"):
        case "base64":
            kind = fields.text(source, "media_type", inside) or "application/pdf"
            return File(data=fields.required_text(source, "data", inside), media_type=kind, **about)
        case "text":
            return File(text=fields.text(source, "data", inside) or "", media_type="text/plain", **about)
        case "url":
            return File(url=fields.required_text(source, "url", inside), **about)
        case "file":
            return File(file_id=fields.required_text(source, "file_id", inside), **about)
        case _:  # a document made of blocks, or a source newer than this code
            return Opaque(DIALECT, block, _said(source.get("content"), block, ("title", "context")))


def _said(content: Any, block: Json, about: tuple[str, ...]) -> tuple[Text | Image, ...]:
    """What a block made of blocks says: the words about it as a line, then its words and pictures."""
    inside = decode_content(content, "content") if isinstance(content, (str, list)) else ()
    said = tuple(part for part in inside if isinstance(part, (Text, Image)))
    heads = [str(block[name]) for name in about if block.get(name)]
    return (Text(f"{', '.join(heads)}:"), *said) if heads and said else said


def _decode_tool_result(block: Json, path: str) -> ToolResult:
    value = block.get("content")
    content = () if value is None else decode_content(value, at(path, "content"))
    return ToolResult(
        call_id=fields.required_text(block, "tool_use_id", path),
        content=tuple(_result_part(part, at(path, "content")) for part in content),
        is_error=fields.boolean(block, "is_error", path) or False,
        cache=decode_cache(block),
    )


def _result_part(part: Part, path: str) -> ResultPart:
    if isinstance(part, ResultPart):
        return part
    raise InvalidRequest(f"'{path}' of a tool result may hold text, images and documents.", param=path)


def encode_parts(parts: Sequence[Part], notes: list[str]) -> list[Json]:
    """Blocks of one turn. Empty text is left out: the API refuses it."""
    return [block for part in parts if (block := _encode_part(part, notes)) is not None]


def _encode_part(part: Part, notes: list[str]) -> Json | None:
    match part:
        case Text():
            return _encode_text(part)
        case Image():
            return {"type": "image", "source": _image_source(part), **encode_cache(part.cache)}
        case File():
            return _encode_document(part)
        case ToolCall():
            return _encode_tool_call(part, notes)
        case ToolResult():
            return _encode_tool_result(part, notes)
        case Thinking() | RedactedThinking():
            return _encode_thinking(part, notes)
        case Refusal():
            return {"type": "text", "text": part.text} if part.text else None
        case Audio():
            raise UnsupportedByTarget("Anthropic models take no audio.", param="messages")
        case Opaque() if part.dialect == DIALECT:
            return part.data
        case Opaque():
            notes.append(f"A block only {part.dialect} knows was left out.")
            return None


def _encode_text(part: Text) -> Json | None:
    if not part.text:
        return None
    block: Json = {"type": "text", "text": part.text, **encode_cache(part.cache)}
    if citations := [citation for citation in part.citations if not is_ours(citation)]:
        block["citations"] = citations
    return block


def _image_source(part: Image) -> Json:
    if part.file_id:
        return {"type": "file", "file_id": part.file_id}
    if part.url:
        return {"type": "url", "url": part.url}
    return {"type": "base64", "media_type": part.media_type or "image/png", "data": part.data or ""}


def _encode_document(part: File) -> Json:
    if part.file_id:
        source: Json = {"type": "file", "file_id": part.file_id}
    elif part.url:
        source = {"type": "url", "url": part.url}
    elif part.text is not None:
        source = {"type": "text", "media_type": "text/plain", "data": part.text}
    elif part.media_type in (None, "application/pdf"):
        source = {"type": "base64", "media_type": "application/pdf", "data": part.data or ""}
    else:
        source = {"type": "text", "media_type": "text/plain", "data": _text_of(part)}
    block: Json = {"type": "document", "source": source, **encode_cache(part.cache)}
    if title := part.title or part.filename:
        block["title"] = title
    if part.context:
        block["context"] = part.context
    if part.citations:
        block["citations"] = {"enabled": True}
    return block


def _text_of(part: File) -> str:
    """The words of a document that is text of some kind, such as CSV or Markdown."""
    kind = part.media_type or ""
    if kind.startswith("text/") or kind == "application/json":
        try:
            return base64.b64decode(part.data or "", validate=True).decode()
        except ValueError:
            raise InvalidRequest(f"A file of type {kind} is not UTF-8 in base64.", param="messages") from None
    raise UnsupportedByTarget(f"Anthropic models take PDF and text, not {kind}.", param="messages")


def _call_id(given: str) -> str:
    """An id as the API takes it (`[a-zA-Z0-9_-]+`); the call and its result are changed alike."""
    return (
        given
        if _ID.fullmatch(given)
        else f"{_FOREIGN.sub('_', given)}_{zlib.crc32(given.encode('utf-8', 'replace')):08x}"
    )


def _encode_tool_call(part: ToolCall, notes: list[str]) -> Json:
    return {
        "type": "tool_use",
        "id": _call_id(part.id),
        "name": part.name,
        "input": _arguments(part, notes),
        **encode_cache(part.cache),
    }


def _arguments(part: ToolCall, notes: list[str]) -> Json:
    value = arguments_object(part, under="arguments")
    if part.kind == "function" and value.get("arguments") == part.arguments:
        notes.append(
            f"The arguments of '{part.name}' are not a JSON object; they were sent under 'arguments'."
        )
    return value


def _encode_tool_result(part: ToolResult, notes: list[str]) -> Json:
    block: Json = {"type": "tool_result", "tool_use_id": _call_id(part.call_id), **encode_cache(part.cache)}
    if len(part.content) == 1 and isinstance(part.content[0], Text) and part.content[0].cache is None:
        block["content"] = part.content[0].text
    elif content := encode_parts(part.content, notes):
        block["content"] = content
    if part.is_error:
        block["is_error"] = True
    return block


def _encode_thinking(part: Thinking | RedactedThinking, notes: list[str]) -> Json | None:
    if isinstance(part, RedactedThinking):
        return {"type": "redacted_thinking", "data": part.data}
    if not part.taken_by(VENDOR):
        notes.append("Reasoning without a signature was left out: the API takes back only what it signed.")
        return None
    return {"type": "thinking", "thinking": part.text, "signature": part.signature}
