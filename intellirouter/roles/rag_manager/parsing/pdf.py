"""PDF by page. One that asks for no password to open is read, whatever it forbids; pages that are pictures are read by OCR."""

from __future__ import annotations

import importlib
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

from intellirouter.counts import counted
from intellirouter.errors import UnsupportedMediaType
from intellirouter.roles.rag_manager.chunking import Block
from intellirouter.roles.rag_manager.parsing import ocr
from intellirouter.roles.rag_manager.parsing.mail import Read, attached

_BROKEN = re.compile(r"\b([^\W\d_]{1,60})[-\u2010\u00ad]\n([a-zß-ÿ][^\W\d_]{0,60})")
_HYPHENED = re.compile(r"\b[^\W\d_]{1,60}-[^\W\d_]{1,60}")
_REMARKS = frozenset(("/Text", "/FreeText", "/Highlight", "/Underline", "/StrikeOut", "/Stamp", "/Caret"))
_MOST_NOTES = 2_000
_PICTURE = 20
"""A page with fewer characters may be a picture of one."""


def read(data: bytes, read: Read) -> tuple[str, list[Block]]:
    """The title, a block a page, and what belongs to them: remarks, a form's fields, attached files, which `read` reads. Raises `UnsupportedMediaType` saying why there is no text."""
    pypdf: Any = importlib.import_module("pypdf")
    reader = pypdf.PdfReader(io.BytesIO(data))
    if reader.is_encrypted and not reader.decrypt(""):
        raise UnsupportedMediaType("is encrypted: it opens with a password only")
    title = str((reader.metadata or {}).get("/Title") or "")
    pages, noted = [], []
    for number, page in enumerate(reader.pages, 1):
        text = page.extract_text() or ""
        if len(text.strip()) < _PICTURE and ocr.ready():
            text = ocr.page(data, number - 1) or text
        pages.append(Block(text, f"page {number}"))
        noted += [Block(text, f"page {number}, notes") for text in _notes(page)]
    beside = [*noted, *_form(reader), *_files(reader, read)]
    if pages and not beside and not any(page.text.strip() for page in pages):
        missing = "" if ocr.ready() else f" ({ocr.NEEDED})"
        raise UnsupportedMediaType(
            f"holds no text: its {counted(len(pages), 'page is a picture', 'pages are pictures')}{missing}"
        )
    return title, [*_mended(pages), *beside]


def _mended(pages: Sequence[Block]) -> Iterator[Block]:
    """Words that were broken at the end of a line in one piece; one that has its hyphen in the middle of a line keeps it."""
    hyphened = {word for page in pages for word in _HYPHENED.findall(page.text)}
    for page in pages:

        def joined(found: re.Match[str]) -> str:
            return (
                f"{found[1]}-{found[2]}" if f"{found[1]}-{found[2]}" in hyphened else f"{found[1]}{found[2]}"
            )

        yield replace(page, text=_BROKEN.sub(joined, page.text))


def _notes(page: Any) -> Iterator[str]:
    """Remarks on a page, as its readers see them. Links and fields of a form are none; what was taken out of the file is left out."""
    listed = _resolved(page.get("/Annots"))
    for one in islice(listed if isinstance(listed, list) else (), _MOST_NOTES):
        note = _resolved(one)
        if not isinstance(note, dict) or note.get("/Subtype") not in _REMARKS:
            continue
        if text := str(note.get("/Contents") or "").strip():
            yield text


def _resolved(found: Any) -> Any:
    """What a reference leads to; None where it leads nowhere."""
    return found.get_object() if hasattr(found, "get_object") else found


def _form(reader: Any) -> Iterator[Block]:
    """What was filled in, by the names of its fields."""
    told = []
    for name, field in islice((reader.get_fields() or {}).items(), _MOST_NOTES):
        value = field.get("/V")
        if field.get("/FT") in ("/Tx", "/Ch", "/Btn") and value not in (None, "", "/Off"):
            values = value if isinstance(value, list) else [value]
            said = ", ".join(
                str(one).removeprefix("/") if field["/FT"] == "/Btn" else str(one) for one in values
            )
            told.append(f"{field.get('/TU') or name}: {said}")
    if told:
        yield Block("\n".join(told), "form")


def _files(reader: Any, read: Read) -> Iterator[Block]:
    listed = reader.attachments
    files = ((str(name), data, "") for name in listed for data in _versions(listed, name))
    yield from attached(files, read)


def _versions(listed: Any, name: str) -> list[bytes]:
    """The bytes of each file of that name; none where it lies elsewhere or is damaged, so that what it belongs to is read all the same."""
    errors: Any = importlib.import_module("pypdf.errors")
    try:
        found = listed[name]
    except (errors.PyPdfError, LookupError, AttributeError, TypeError, ValueError):
        return [b""]
    return [bytes(data) for data in (found if isinstance(found, list) else [found])]
