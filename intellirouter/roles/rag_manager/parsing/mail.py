"""E-mail: one message (eml, msg, mhtml) or a box of them (mbox), with what is attached.

Of a body in several forms the plain one is taken, or the HTML one where there is no other. What is attached is read as what it
is called; what of it cannot be read is named with the reason.
"""

from __future__ import annotations

import email
import email.policy
import importlib
import io
import re
from collections.abc import Callable, Iterable, Iterator
from email.message import EmailMessage, Message
from typing import Any

from intellirouter.errors import UnsupportedMediaType
from intellirouter.roles.rag_manager.chunking import Block
from intellirouter.roles.rag_manager.parsing import html
from intellirouter.roles.rag_manager.parsing.charset import decode

Parsed = tuple[str, list[Block]]
Read = Callable[[str, bytes, str], Parsed]
"""Reads what is attached, by its name and by the encoding that the message states."""

MOST_ATTACHMENTS = 200
MOST_HEADER = 4_000
"""Characters of a header that is read as what it says; a longer one is taken as it is written, up to there."""
_FROM = re.compile(rb"^From [^\n]*\n(?=>?[!-9;-~]+:[^\n]*\n)", re.MULTILINE)
"""Before a message of a box: what begins a sentence with it has no header behind it."""
_SIGNATURES = frozenset(
    ("application/pkcs7-signature", "application/x-pkcs7-signature", "application/pgp-signature")
)
_HELD = frozenset(("message/rfc822", "message/delivery-status"))
_INVITATION = "text/calendar"
_SOFT_BREAK = re.compile(r"(?<=\S) \r?\n(?![>\s]|-- )")
_STANDS_FOR = 4
"""So many times the words of a plain text has the page that it only stands for: `this mail needs a program that shows HTML`."""
_HEADERS = ("Subject", "From", "To", "Cc", "Date")


def message(data: bytes, read: Read) -> Parsed:
    """One message as it was sent."""
    parsed = email.message_from_bytes(data, policy=email.policy.default)
    if not parsed.keys():
        raise UnsupportedMediaType("is no e-mail message, despite its name")
    return _header(parsed, "Subject"), list(_message(parsed, read))


def box(data: bytes, read: Read) -> Parsed:
    """Every message of a box, in order."""
    starts = [
        found
        for found in _FROM.finditer(data)
        if found.start() == 0 or data[: found.start()].endswith((b"\n\n", b"\r\n\r\n"))
    ]
    if not starts or starts[0].start() != 0:
        raise UnsupportedMediaType("is no mbox, despite its name")
    blocks: list[Block] = []
    ends = [*(found.start() for found in starts[1:]), len(data)]
    for number, (found, end) in enumerate(zip(starts, ends, strict=True), 1):
        subject, parts = message(data[found.end() : end].replace(b"\n>From ", b"\nFrom "), read)
        blocks += _under(f"message {number}: {subject}".rstrip(": "), parts)
    return "", blocks


def outlook(data: bytes, read: Read) -> Parsed:
    """A message as Outlook keeps it."""
    try:
        oxmsg: Any = importlib.import_module("oxmsg")
    except ImportError as cause:
        raise UnsupportedMediaType(
            "Reading .msg needs the office extra: pip install 'intellirouter[office]'."
        ) from cause
    found = oxmsg.Message.load(io.BytesIO(data))
    headers = {"Subject": found.subject, "From": found.sender, "Date": found.sent_date}
    to = ", ".join(f"{one.name or ''} <{one.email_address or ''}>" for one in found.recipients)
    blocks = [_heading({**headers, "To": to})]
    if found.body:
        blocks.append(Block(found.body))
    elif found.html_body:
        blocks += html.of_text(found.html_body)[1]
    files = ((one.file_name or "", one.file_bytes or b"", "") for one in found.attachments)
    return found.subject or "", [*blocks, *attached(files, read)]


def _message(parsed: EmailMessage, read: Read) -> Iterator[Block]:
    yield _heading({name: _header(parsed, name) for name in _HEADERS})
    plain = parsed.get_body(("plain",))
    page = parsed.get_body(("html",)) if plain is None else _beside(parsed, plain)
    text = _flowed(plain) if plain is not None else ""
    shown = html.of_text(_text(page))[1] if page is not None else []
    if shown and len(text.split()) * _STANDS_FOR <= sum(len(block.text.split()) for block in shown):
        yield from shown
    elif text.strip():
        yield Block(text)
    yield from attached(_files(parsed, {id(plain), id(page)}), read)


def _beside(parsed: EmailMessage, plain: Message) -> Message | None:
    """The page that says the same as the plain text, of which a program of mail shows one."""
    for part in parsed.walk():
        if part.get_content_type() == "multipart/alternative" and any(one is plain for one in part.walk()):
            return part.get_body(("html",))
    return None


def _flowed(part: Message) -> str:
    """A plain text, whose lines a program of mail may have broken where no line ends (RFC 3676)."""
    text = _text(part)
    if str(part.get_param("format") or "").lower() != "flowed":
        return text
    joined = "" if str(part.get_param("delsp") or "").lower() == "yes" else " "
    return _SOFT_BREAK.sub(joined, text)


def _files(parsed: EmailMessage, taken: set[int]) -> Iterator[tuple[str, bytes, str]]:
    """What is attached, at whatever depth: name, bytes and encoding."""
    if (
        not parsed.is_multipart() or parsed.get_content_type() in _HELD
    ):  # the whole of it is a file, or another message
        parts: Iterable[Any] = (parsed,)
    elif parsed.get_content_type() == "multipart/alternative":  # an invitation beside the words of it
        parts = (part for part in parsed.iter_parts() if part.get_content_type() == _INVITATION)
    else:
        parts = parsed.iter_parts()
    for part in parts:
        if id(part) in taken:
            continue
        kind, name = part.get_content_type(), part.get_filename() or ""
        if kind in _SIGNATURES:
            continue
        if kind == "message/rfc822":
            inner = part.get_payload()
            inner = inner[0] if isinstance(inner, list) and inner else None
            if isinstance(inner, Message):
                yield (
                    name if name.lower().endswith(".eml") else f"{name or 'message'}.eml",
                    inner.as_bytes(),
                    "",
                )
        elif kind == "message/delivery-status":
            yield name or "delivery status.txt", "\n".join(map(str, part.get_payload())).encode(), "utf-8"
        elif part.is_multipart():
            yield from _files(part, taken)
        else:
            raw = part.get_payload(decode=True)
            suffix = {
                "text/html": ".html",
                "text/plain": ".txt",
                "text/calendar": ".ics",
                "application/pdf": ".pdf",
                "application/pkcs7-mime": ".p7m",
                "application/x-pkcs7-mime": ".p7m",
                "application/ms-tnef": ".dat",
                "text/rfc822-headers": ".txt",
            }.get(kind, "")
            if isinstance(raw, bytes) and raw and (name or suffix):
                yield name or f"part{suffix}", raw, str(part.get_content_charset() or "")


def attached(files: Iterator[tuple[str, bytes, str]], read: Read) -> Iterator[Block]:
    """Files that came with a document, each by its name, its bytes and its encoding."""
    for number, (name, raw, charset) in enumerate(files):
        if number == MOST_ATTACHMENTS:
            raise UnsupportedMediaType(f"has more than {MOST_ATTACHMENTS} attachments")
        try:
            _, blocks = read(name, raw, charset)
        except UnsupportedMediaType as refused:
            yield Block(f"Attachment {name}, not read: it {refused.message}", f"attachment {name}")
        else:
            yield from _under(f"attachment {name}", blocks)


def _under(place: str, blocks: list[Block]) -> Iterator[Block]:
    for block in blocks:
        yield block.under(place)


def _heading(headers: dict[str, Any]) -> Block:
    return Block("\n".join(f"{name}: {value}" for name, value in headers.items() if value))


def _header(parsed: EmailMessage, name: str) -> str:
    raw = next((str(value) for key, value in parsed.raw_items() if key.lower() == name.lower()), "")
    if not raw.isascii():  # letters beyond ASCII as they are, in whatever encoding
        return " ".join(_as_written(raw.encode("utf-8", "surrogateescape")).split())[:MOST_HEADER]
    if len(raw) > MOST_HEADER:  # the standard library takes the square of its length to read it
        return raw[:MOST_HEADER]
    try:
        return str(parsed[name] or "")
    except (
        ValueError,
        IndexError,
        AttributeError,
        TypeError,
    ):  # the standard library's parser stumbles over some
        return ""


def _as_written(raw: bytes) -> str:
    """A few words in an encoding that nobody states, as programs of old have them: Windows' of the West where they tell none."""
    try:
        return decode(raw)
    except UnsupportedMediaType:
        return raw.decode("cp1252", "replace")


def _text(part: Message) -> str:
    raw = part.get_payload(decode=True)
    return decode(raw, str(part.get_content_charset() or "")) if isinstance(raw, bytes) else ""
