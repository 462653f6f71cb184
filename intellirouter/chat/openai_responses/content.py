"""Content parts inside items, both directions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from intellirouter.chat import fields
from intellirouter.chat.fields import Json, at
from intellirouter.chat.media import bare_picture, split_data_url
from intellirouter.chat.parts import Audio, File, Image, Opaque, Part, Refusal, Text
from intellirouter.errors import InvalidRequest

DIALECT = "openai_responses"


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
    match part.get("type"):
        case "input_text" | "output_text" | "text":
            words = fields.text(part, "text", path)
            if words is None:
                fields.missing(at(path, "text"))
            return Text(words, annotations=decode_annotations(part.get("annotations")))
        case "refusal":
            return Refusal(fields.text(part, "refusal", path) or "")
        case "input_image":
            return _decode_image(part, path)
        case "input_file":
            return _decode_file(part, path)
        case "input_audio":
            audio = fields.mapping(part, "input_audio", path) or fields.missing(at(path, "input_audio"))
            inside = at(path, "input_audio")
            return Audio(
                fields.required_text(audio, "data", inside), fields.text(audio, "format", inside) or "wav"
            )
        case str():
            return Opaque(DIALECT, part)
        case _:
            raise InvalidRequest(f"'{at(path, 'type')}' must name the kind of part.", param=at(path, "type"))


def _decode_image(part: Json, path: str) -> Image:
    url = fields.text(part, "image_url", path)
    file_id = fields.text(part, "file_id", path)
    detail = fields.text(part, "detail", path)
    if not url and not file_id:
        fields.missing(at(path, "image_url"))
    if url and (inline := split_data_url(url)):
        return Image(media_type=inline[0], data=inline[1], detail=detail)
    if url and (kind := bare_picture(url)) is not None:
        return Image(media_type=kind, data=url, detail=detail)
    return Image(url=url, file_id=file_id, detail=detail)


def _decode_file(part: Json, path: str) -> File:
    data, media_type = fields.text(part, "file_data", path), None
    if data and (inline := split_data_url(data)):
        media_type, data = inline
    return File(
        url=fields.text(part, "file_url", path),
        data=data,
        file_id=fields.text(part, "file_id", path),
        media_type=media_type,
        filename=fields.text(part, "filename", path),
    )


def decode_annotations(value: Any) -> tuple[dict[str, Any], ...]:
    """This dialect's flat citations in the canonical (chat completions) form."""
    if not isinstance(value, list):
        return ()
    return tuple(decode_annotation(note) for note in value if isinstance(note, dict))


def decode_annotation(note: Json) -> Json:
    """One citation: a URL's facts stand in an object of their own in the canonical form."""
    if note.get("type") != "url_citation" or "url_citation" in note:
        return note
    return {"type": "url_citation", "url_citation": {k: v for k, v in note.items() if k != "type"}}


def encode_annotation(note: Json) -> Json:
    """One citation, flat again."""
    cited = note.get("url_citation")
    return {"type": "url_citation", **cited} if isinstance(cited, dict) else note


def encode_input(parts: Iterable[Part], notes: list[str]) -> str | list[Json]:
    """Parts of a turn that is not the assistant's, or of a tool's output; a plain string where there is one text."""
    parts = tuple(parts)
    if len(parts) == 1 and isinstance(parts[0], Text):
        return parts[0].text
    encoded = [piece for part in parts if (piece := _encode_part(part, notes)) is not None]
    return encoded or ""


def _encode_part(part: Part, notes: list[str]) -> Json | None:
    match part:
        case Text():
            return {"type": "input_text", "text": part.text}
        case Image():
            return _encode_image(part)
        case File() if part.text is not None:
            title = f"{part.title or part.filename}:\n" if part.title or part.filename else ""
            return {"type": "input_text", "text": title + part.text}
        case File():
            return _encode_file(part)
        case Audio():
            return {"type": "input_audio", "input_audio": {"data": part.data, "format": part.format}}
        case Opaque() if part.dialect == DIALECT:
            return part.data
        case Opaque():
            notes.append(f"A block only {part.dialect} knows was left out.")
        case Refusal():
            return {"type": "refusal", "refusal": part.text}
        case _:
            notes.append(f"A {type(part).__name__} block outside an assistant turn was left out.")
    return None


def _encode_image(part: Image) -> Json:
    image: Json = {"type": "input_image"}
    if part.file_id:
        image["file_id"] = part.file_id
    if part.url:
        image["image_url"] = part.url
    elif part.data is not None:
        image["image_url"] = f"data:{part.media_type or 'image/png'};base64,{part.data}"
    if part.detail:
        image["detail"] = part.detail
    return image


def _encode_file(part: File) -> Json:
    file: Json = {
        "file_id": part.file_id,
        "file_url": part.url,
        "filename": part.filename or part.title,
    }
    if part.data is not None:
        file["file_data"] = f"data:{part.media_type or 'application/pdf'};base64,{part.data}"
        file["filename"] = file["filename"] or "document.pdf"
    return {"type": "input_file"} | {key: value for key, value in file.items() if value}


def output_text(text: Text) -> Json:
    """One `output_text` part."""
    notes = [encode_annotation(note) for note in text.annotations]
    return {"type": "output_text", "text": text.text, "annotations": notes}
