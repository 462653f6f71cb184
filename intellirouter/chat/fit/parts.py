"""What a turn is made of, as a target takes it: thoughts, media, documents, blocks of another dialect, blank text."""

from __future__ import annotations

import msgspec

from intellirouter.chat.billing import BILLING
from intellirouter.chat.custom_tools import arguments_object
from intellirouter.chat.fit.takes import Takes
from intellirouter.chat.media import (
    audio_name,
    image_type,
    is_text,
    plain_type,
    split_data_url,
    type_by_name,
    words_of,
)
from intellirouter.chat.model import Message
from intellirouter.chat.parts import (
    Audio,
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
)
from intellirouter.errors import UnsupportedByTarget

_PLAIN = (Text, ToolCall)
_GOOGLES_FILES = "//generativelanguage.googleapis.com/"
_TYPES = {"application/octet-stream": None}


def fit_parts(message: Message, takes: Takes, notes: list[str]) -> Message:
    """The message with what the target takes of it; the same object where that is all."""
    if (
        takes.text == "any"
        and message.role != "system"
        and all(type(p) in _PLAIN and not is_odd(p, takes) for p in message.content)
    ):
        return message
    content = _in_words(message.content, takes)
    kept = [fitted for part in content if (fitted := _fit(part, message.role, takes, notes)) is not None]
    if len(kept) == len(message.content) and all(a is b for a, b in zip(kept, message.content, strict=True)):
        return message
    return msgspec.structs.replace(message, content=tuple(kept))


def _in_words(content: tuple[Part, ...], takes: Takes) -> tuple[Part, ...]:
    """Blocks of another dialect as the words and pictures they hold."""
    if not any(isinstance(part, Opaque) and part.said and part.dialect != takes.dialect for part in content):
        return content
    told: list[Part] = []
    for part in content:
        told += (
            part.said if isinstance(part, Opaque) and part.said and part.dialect != takes.dialect else (part,)
        )
    return tuple(told)


def _fit(part: Part, role: str, takes: Takes, notes: list[str]) -> Part | None:
    match part:
        case Text():
            if role == "system" and not takes.billing_header and part.text.startswith(BILLING):
                return None
            return None if is_blank(part, takes) else part
        case Refusal() if not takes.refusals:
            return Text(part.text) if part.text else None
        case Thinking() | RedactedThinking():
            return _thought(part, takes, notes)
        case Opaque():
            return _foreign(part, role, takes, notes)
        case ToolResult():
            return _result(part, takes, notes)
        case Image() | File() if role == "assistant" and not takes.made_media:
            notes.append(f"A picture of an earlier answer was left out: {takes.who} takes none back.")
            return None
        case Image() | Audio() | File():
            return fit_media(part, takes)
        case ToolCall() if is_odd(part, takes):
            words = msgspec.json.encode(arguments_object(part, under="arguments")).decode()
            return msgspec.structs.replace(part, arguments=words)
        case _:
            return part


def is_odd(part: Part, takes: Takes) -> bool:
    """Whether it is a call whose arguments the target cannot read: a model's that was cut, or none at all."""
    if type(part) is not ToolCall or not takes.object_arguments or part.kind != "function":
        return False
    try:
        return not isinstance(msgspec.json.decode(part.arguments), dict)
    except (msgspec.DecodeError, RecursionError):
        return True


def is_blank(part: Text, takes: Takes) -> bool:
    """Text that the target refuses for its emptiness."""
    if takes.text == "any" or part.signature is not None:
        return False
    return not part.text if takes.text == "some" else not part.text.strip()


def _thought(part: Thinking | RedactedThinking, takes: Takes, notes: list[str]) -> Part | None:
    match takes.thoughts:
        case "words":
            if isinstance(part, Thinking) and part.signer == "openrouter" != takes.signer:
                return Thinking(part.text) if part.text else None  # what seals it is no other's to read
            return part
        case "sealed":
            sealed = isinstance(part, Thinking) and (
                part.encrypted is not None or bool(part.id and not part.signature)
            )
            if sealed:
                return part
            notes.append("Another vendor's reasoning was left out: OpenAI takes back only its own.")
        case "signed" if (
            isinstance(part, Thinking) and takes.signer is not None and part.taken_by(takes.signer)
        ):
            return part
        case "signed" if isinstance(part, RedactedThinking) and takes.signer == "anthropic":
            return part
        case "signed" if takes.signer == "google":
            what = "Encrypted reasoning" if isinstance(part, RedactedThinking) else "Reasoning"
            notes.append(f"{what} of another provider was left out.")
        case "signed":
            notes.append(
                "Reasoning without a signature was left out: the API takes back only what it signed."
            )
        case _:
            notes.append(f"Reasoning of earlier turns was left out: {takes.who} takes none back.")
    return None


def _foreign(part: Opaque, role: str, takes: Takes, notes: list[str]) -> Part | None:
    """A block of another dialect. What the model said or ran may go; what it was told may not be lost in silence."""
    if part.dialect == takes.dialect:
        return part
    kind = str(part.data.get("type") or next(iter(part.data), "unknown"))[:64]
    if role not in ("assistant", "system", "developer"):
        raise UnsupportedByTarget(
            f"A part of the type '{kind}' cannot be sent to {takes.who}: only {part.dialect} knows it.",
            param="messages",
        )
    notes.append(f"A block of the type '{kind}' was left out: {takes.who} has none such.")
    return None


def _result(part: ToolResult, takes: Takes, notes: list[str]) -> ToolResult:
    if takes.text == "any" and all(type(inner) is Text for inner in part.content):
        return part
    kept: list[ResultPart] = []
    for inner in _in_words(part.content, takes):
        fitted = _fit(inner, "tool", takes, notes)
        if isinstance(fitted, ResultPart):
            kept.append(fitted)
    if not kept and part.content and all(isinstance(inner, Text) for inner in part.content):
        kept = [Text("")] if len(part.content) == 1 else []  # an empty result is one
    if len(kept) == len(part.content) and all(
        a is b or a == b for a, b in zip(kept, part.content, strict=True)
    ):
        return part
    return msgspec.structs.replace(part, content=tuple(kept))


def fit_media(part: Image | Audio | File, takes: Takes) -> Part:
    """A picture, sound or document under its right type, a document of words as words. Raises `UnsupportedByTarget`."""
    if part.data and (inline := split_data_url(part.data)):  # a URL where its data alone should be
        part = (
            msgspec.structs.replace(part, data=inline[1])
            if isinstance(part, Audio)
            else msgspec.structs.replace(part, data=inline[1], media_type=inline[0])
        )
    match part:
        case Image():
            return _image(part, takes)
        case Audio():
            return _audio(part, takes)
        case File():
            return _file(part, takes)


def _image(part: Image, takes: Takes) -> Part:
    if part.data is None:
        if takes.https and part.url is not None and part.url.startswith("http://"):
            raise UnsupportedByTarget(f"{takes.who} fetches pictures by https alone.", param="messages")
        return part
    if "\n" in part.data or " " in part.data:  # wrapped lines
        part = msgspec.structs.replace(part, data="".join(part.data.split()))
    kind = image_type(part.media_type, part.data)
    if kind is not None and not kind.startswith("image/"):  # clients have one place for whatever is no text
        return _of_another_kind(part, kind, takes)
    if takes.images is not None and kind is not None and kind not in takes.images:
        if is_text(kind) and (words := words_of(part.data or "")) is not None:
            return Text(words, cache=part.cache)
        raise UnsupportedByTarget(f"{takes.who} takes no pictures of the type {kind}.", param="messages")
    return part if kind == part.media_type else msgspec.structs.replace(part, media_type=kind)


def _of_another_kind(part: Image, kind: str, takes: Takes) -> Part:
    """A document, a video or a sound where a picture should be."""
    if kind.startswith("audio/"):
        return _audio(Audio(part.data or "", audio_name(kind)), takes)
    return _file(File(data=part.data, media_type=kind, cache=part.cache), takes)


def _audio(part: Audio, takes: Takes) -> Part:
    if not part.data:
        return part
    name = audio_name(part.format)
    if takes.audio is not None and name not in takes.audio:
        known = ", ".join(sorted(takes.audio)) or "no sound at all"
        raise UnsupportedByTarget(f"{takes.who} takes {known}, not sound in '{name}'.", param="messages")
    return part if name == part.format else msgspec.structs.replace(part, format=name)


def _file(part: File, takes: Takes) -> Part:
    if takes.file_names and part.data is not None and not (part.filename or part.title):
        part = msgspec.structs.replace(part, filename="document.pdf")
    kind = _TYPES.get(part.media_type or "", plain_type(part.media_type))
    if part.data is not None and part.data.startswith("JVBERi0"):
        kind = "application/pdf"
    elif part.data is not None and kind is None:  # some clients know no types
        kind = type_by_name(part.filename or part.title or "")
        if kind is None and words_of(part.data) is not None:
            kind = "text/plain"
    if part.url is not None:
        _check_place(part.url, takes)
    if part.text is not None:
        return _as_text(part, part.text) if takes.documents_as_text else part
    if (
        kind is not None
        and kind.startswith("video/")
        and takes.files is not None
        and "video/*" not in takes.files
    ):
        raise UnsupportedByTarget(f"{takes.who} takes no videos.", param="messages")
    if part.data is None or kind is None or takes.files is None or kind in takes.files:
        return _typed(part, kind)
    if is_text(kind) and (words := words_of(part.data)) is not None:
        told = msgspec.structs.replace(part, data=None, text=words, media_type="text/plain")
        return _as_text(part, words) if takes.documents_as_text else told
    if f"{kind.partition('/')[0]}/*" not in takes.files:
        taken = ", ".join(sorted(takes.files)) or "text and pictures"
        raise UnsupportedByTarget(
            f"{takes.who} takes {taken}, not documents of the type {kind}.", param="messages"
        )
    return _typed(part, kind)


def _check_place(url: str, takes: Takes) -> None:
    """Raise `UnsupportedByTarget` for a place that only its own vendor reads from, or that the target does not."""
    own = url.startswith("gs://") or _GOOGLES_FILES in url
    if (own and takes.dialect != "gemini") or (takes.https and not url.startswith("https://")):
        raise UnsupportedByTarget(f"{takes.who} cannot read the document at that address.", param="messages")


def _typed(part: File, kind: str | None) -> File:
    return part if kind == part.media_type else msgspec.structs.replace(part, media_type=kind)


def _as_text(part: File, words: str) -> Text:
    """The document's words under its name."""
    title = part.title or part.filename
    return Text(f"{title}:\n{words}" if title else words, cache=part.cache)
