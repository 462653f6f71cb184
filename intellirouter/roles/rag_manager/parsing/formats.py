"""Which reader takes which file: by its name, else by its first bytes. Runs only in the parsing process."""

from __future__ import annotations

import importlib
import io
import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import PurePosixPath
from unicodedata import normalize

from intellirouter.errors import UnsupportedMediaType
from intellirouter.roles.rag_manager.chunking import Block
from intellirouter.roles.rag_manager.parsing import books, html, mail, ocr, pdf, tables
from intellirouter.roles.rag_manager.parsing.charset import declared_in, decode
from intellirouter.roles.rag_manager.parsing.markdown import sections

Parsed = tuple[str, list[Block]]
MOST_DEPTH = 4
"""Of documents within documents."""
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_OLD = {
    ".doc": ".docx",
    ".ppt": ".pptx",
    ".pps": ".pptx",
    ".dot": ".docx",
    ".wpd": ".docx",
    ".pages": ".docx",
    ".key": ".pptx",
}
_KINDS = (
    (b"%PDF-", "a PDF"),
    (b"\x89PNG\r\n\x1a\n", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"GIF8", "a picture"),
    (b"II*\0", "a picture"),
    (b"MM\0*", "a picture"),
    (b"\x1f\x8b", "compressed (gzip): unpack it first"),
    (b"BZh", "compressed (bzip2): unpack it first"),
    (b"\xfd7zXZ\0", "compressed (xz): unpack it first"),
    (b"7z\xbc\xaf\x27\x1c", "an archive (7z): unpack it first"),
    (b"Rar!", "an archive (rar): unpack it first"),
    (b"\x7fELF", "a program"),
    (b"MZ\x90\0", "a program"),
    (b"ID3", "a sound"),
    (b"OggS", "a sound or a film"),
    (b"fLaC", "a sound"),
    (b"SQLite format 3\0", "a database"),
)


def parse(name: str, data: bytes, charset: str = "", depth: int = 0) -> Parsed:
    """The title and the blocks, in one form of each character (NFC).

    `charset` is what whoever sent it says of it. Raises `UnsupportedMediaType` for a format that none of them reads.
    """
    if depth > MOST_DEPTH:
        raise UnsupportedMediaType(f"lies within more than {MOST_DEPTH} documents")
    title, blocks = _read(name, data, charset, depth)
    return normalize("NFC", title), [replace(block, text=normalize("NFC", block.text)) for block in blocks]


def _read(name: str, data: bytes, charset: str, depth: int) -> Parsed:
    suffix = PurePosixPath(name).suffix.lower()
    if suffix in _MAIL:
        return _MAIL[suffix](data, partial(parse, depth=depth + 1))
    kind = next((kind for start, kind in _KINDS if data.startswith(start)), "")
    if kind == "a PDF" or (suffix == ".pdf" and b"%PDF-" in data[:1024]):
        return pdf.read(data)
    if suffix in _PICTURES or kind == "a picture":
        return "", ocr.picture(data)
    if kind or suffix == ".pdf":
        raise UnsupportedMediaType(f"is {kind or 'no PDF, despite its name'}")
    if data.startswith(_OLE) and suffix != ".xls":
        raise UnsupportedMediaType(_old(data, suffix))
    if suffix in _ARCHIVES:
        return _ARCHIVES[suffix](data)
    if data.startswith(b"PK\x03\x04"):
        raise UnsupportedMediaType("is an archive (zip): unpack it first")
    reader = READERS.get(suffix)
    if reader is None and data[:512].lstrip().lower().startswith((b"<!doctype html", b"<html")):
        reader = html.read
    return reader(data, charset) if reader is not None else _text(data, charset)


def _old(data: bytes, suffix: str) -> str:
    """Why a file of Microsoft's older container is not read."""
    if "EncryptedPackage".encode("utf-16-le") in data:
        return "is encrypted: it opens with a password only"
    return f"is of an old format: save it as {_OLD.get(suffix, '.docx, .xlsx or .pdf')}"


def _text(data: bytes, charset: str) -> Parsed:
    return "", [Block(decode(data, charset))]


def _xml(data: bytes, charset: str) -> Parsed:
    return "", [Block(decode(data, charset or declared_in(data)))]


def _markdown(data: bytes, charset: str) -> Parsed:
    return sections(decode(data, charset))


def _json(data: bytes, charset: str) -> Parsed:
    text = decode(data, charset)
    try:
        value = json.loads(text)
    except ValueError:
        return "", [Block(text)]
    items = value if isinstance(value, list) else [value]
    return "", [
        Block(json.dumps(item, ensure_ascii=False, indent=1), f"[{i}]", "code")
        for i, item in enumerate(items)
    ]


def _json_lines(data: bytes, charset: str) -> Parsed:
    lines = decode(data, charset).splitlines()
    return "", [Block(line, f"line {n}", "code") for n, line in enumerate(lines, 1) if line.strip()]


def _csv(data: bytes, charset: str) -> Parsed:
    return "", tables.delimited(data, charset)


def _tsv(data: bytes, charset: str) -> Parsed:
    return "", tables.delimited(data, charset, "\t")


def _notebook(data: bytes, charset: str) -> Parsed:
    return books.notebook(decode(data, charset))


def _rtf(data: bytes, _charset: str) -> Parsed:
    return books.rtf(data)


def _workbook(suffix: str, data: bytes) -> Parsed:
    if not data.startswith(_OLE):
        books.archive(data, f"Office document ({suffix})")
    return "", tables.workbook(data, suffix)


def _office(suffix: str, data: bytes) -> Parsed:
    books.archive(data, f"Office document ({suffix})")
    try:
        markitdown = importlib.import_module("markitdown")
    except ImportError as cause:
        raise UnsupportedMediaType(
            f"Reading {suffix} needs the office extra: pip install 'intellirouter[office]'."
        ) from cause
    return sections(
        markitdown.MarkItDown().convert_stream(io.BytesIO(data), file_extension=suffix).text_content
    )


READERS: dict[str, Callable[[bytes, str], Parsed]] = {
    **dict.fromkeys((".md", ".markdown"), _markdown),
    **dict.fromkeys((".html", ".htm", ".xhtml"), html.read),
    ".xml": _xml,
    ".json": _json,
    **dict.fromkeys((".jsonl", ".ndjson"), _json_lines),
    ".csv": _csv,
    **dict.fromkeys((".tsv", ".tab"), _tsv),
    ".ipynb": _notebook,
    ".rtf": _rtf,
    ".txt": _text,
}
_MAIL: dict[str, Callable[[bytes, mail.Read], Parsed]] = {
    **dict.fromkeys((".eml", ".mht", ".mhtml"), mail.message),
    **dict.fromkeys((".mbox", ".mbx"), mail.box),
    ".msg": mail.outlook,
}
_ARCHIVES: dict[str, Callable[[bytes], Parsed]] = {
    **dict.fromkeys((".odt", ".odp", ".odg", ".ott"), books.opendocument),
    **{suffix: partial(_workbook, suffix) for suffix in (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")},
    **{suffix: partial(_office, suffix) for suffix in (".docx", ".pptx")},
    ".epub": books.epub,
}
_PICTURES = frozenset((".png", ".jpg", ".jpeg", ".gif", ".tif", ".tiff", ".bmp", ".webp"))
