"""Which reader takes which file: by its name, else by its first bytes. Runs only in the parsing process."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import PurePosixPath
from unicodedata import normalize

from intellirouter.errors import IntelliRouterError, UnsupportedMediaType
from intellirouter.roles.rag_manager.chunking import Block
from intellirouter.roles.rag_manager.parsing import books, cards, html, mail, ocr, office, pdf, tables
from intellirouter.roles.rag_manager.parsing.charset import declared_in, decode
from intellirouter.roles.rag_manager.parsing.damage import damaged
from intellirouter.roles.rag_manager.parsing.markdown import sections

Parsed = tuple[str, list[Block]]
Reader = Callable[[bytes, str], Parsed]
_LIGATURE = re.compile("[\ufb00-\ufb06]")
"""Two letters or three in one sign, as typesetters have them and nobody types."""
MOST_DEPTH = 4
"""Of documents within documents."""
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_OLD = {
    ".doc": ".docx",
    ".ppt": ".pptx",
    ".pps": ".pptx",
    ".dot": ".docx",
    ".wpd": ".docx",
}
_IWORK = {".pages": "Pages", ".numbers": "Numbers", ".key": "Keynote"}
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
    (b"\x28\xb5\x2f\xfd", "compressed (zstd): unpack it first"),
    (b"\0asm", "a program"),
    (b"\xca\xfe\xba\xbe", "a program"),
    (b"PAR1", "a table in Parquet: save it as CSV"),
    (b"8BPS", "a Photoshop picture: save it as PNG"),
    (b"wOF", "a font"),
    (b"\0\1\0\0\0", "a font"),
    (b"OTTO", "a font"),
    (
        b"\x78\x9f\x3e\x22",
        "what Outlook makes of a message for other Outlooks (TNEF, winmail.dat): have it sent as HTML or plain text",
    ),
    (b"AT&TFORM", "a book in DjVu: save it as PDF"),
    (b"ITSF", "help in CHM: save it as HTML"),
)
_SEALED = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07"
"""The type of all that PKCS #7 makes."""
_INSIDE = (
    (4, b"ftyphei", "a picture in HEIC: save it as JPEG"),
    (4, b"ftypmif", "a picture in HEIC: save it as JPEG"),
    (4, b"ftypavif", "a picture in AVIF: save it as JPEG"),
    (4, b"ftyp", "a film"),
    (8, b"WAVE", "a sound"),
    (8, b"AVI ", "a film"),
    (8, b"WEBP", "a picture"),
    (60, b"BOOKMOBI", "a book in MOBI: save it as EPUB"),
    (257, b"ustar", "an archive (tar): unpack it first"),
)


def parse(name: str, data: bytes, charset: str = "", depth: int = 0) -> Parsed:
    """The title and the blocks, in one form of each character (NFC), and a mark (U+FFFD) for each half of one.

    `charset` is what whoever sent it says of it. Raises `UnsupportedMediaType` for a format that none of them reads, and for a file that
    is damaged, so that what it is attached to is read all the same.
    """
    if depth > MOST_DEPTH:
        raise UnsupportedMediaType(f"lies within more than {MOST_DEPTH} documents")
    if not data:
        raise UnsupportedMediaType("is empty: it has no bytes, and so no text")
    try:
        title, blocks = _read(name, data, charset, depth)
    except (IntelliRouterError, MemoryError):
        raise
    except RecursionError as cause:
        raise UnsupportedMediaType("cannot be read: it is nested too deeply") from cause
    except ImportError as cause:
        raise UnsupportedMediaType(f"cannot be read: {cause.name} is not installed on this node") from cause
    except Exception as cause:  # whatever a parser raises is a fault of the document
        raise damaged(name, _kind_of(data)) from cause
    return _whole(title), [replace(block, text=_whole(block.text)) for block in blocks]


def _whole(text: str) -> str:
    if not text.isascii():
        if any("\ufb00" <= char <= "\ufb06" for char in text):
            text = _LIGATURE.sub(lambda found: normalize("NFKC", found[0]), text)
        text = normalize("NFC", text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))
    return text


def _read(name: str, data: bytes, charset: str, depth: int) -> Parsed:
    suffix = PurePosixPath(name).suffix.lower()
    if suffix in _MAIL:
        return _MAIL[suffix](data, partial(parse, depth=depth + 1))
    kind = _kind_of(data)
    if kind == "a PDF" or (suffix == ".pdf" and b"%PDF-" in data[:1024]):
        return pdf.read(data, partial(parse, depth=depth + 1))
    if suffix in _PICTURES or kind == "a picture":
        return "", ocr.picture(data)
    if kind or suffix == ".pdf":
        raise UnsupportedMediaType(f"is {kind or 'no PDF, despite its name'}")
    if data.startswith(_OLE) and suffix != ".xls":
        return _of_ole(data, suffix, partial(parse, depth=depth + 1))
    if data.startswith(b"PK\x03\x04"):
        return _of_archive(data, suffix)
    if suffix in _SHEETS and (reader := _exported(data)) is not None:
        return reader(data, charset)
    if suffix in _ARCHIVES:
        return _ARCHIVES[suffix](data)
    reader = READERS.get(suffix)
    if data.startswith(b"{\\rtf"):
        reader = _rtf
    elif reader in (None, _text) and _is_html(data):
        reader = html.read
    return reader(data, charset) if reader is not None else _text(data, charset)


def _of_archive(data: bytes, suffix: str) -> Parsed:
    """What is an archive by its first bytes."""
    inside = office.kind_of(data)
    if suffix in _IWORK:
        what = f"is a document of Apple's {_IWORK[suffix]}: export it as PDF or for Microsoft Office"
        raise UnsupportedMediaType(what)
    if suffix not in _ARCHIVES and not inside:
        raise UnsupportedMediaType("is an archive (zip): unpack it first")
    return _ARCHIVES[suffix if suffix in _ARCHIVES else inside](data)


def _kind_of(data: bytes) -> str:
    """What its first bytes say that it is; empty where they say nothing."""
    found = next((kind for start, kind in _KINDS if data.startswith(start)), "")
    if data.startswith(b"0") and _SEALED in data[:32]:
        return "encrypted or signed as a whole (S/MIME): save what is in it"
    return found or next((kind for place, sign, kind in _INSIDE if data.startswith(sign, place)), "")


def _is_html(data: bytes) -> bool:
    start = data[:2048].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html", b"<head", b"<body")):
        return True
    return start.startswith((b"<!--", b"<?xml")) and b"<html" in start


def _exported(data: bytes) -> Reader | None:
    """How to read what many programs export as `.xls`: a page, a list of another sign, or a spreadsheet in XML."""
    start = data[:2048].lstrip().lower()
    if b"urn:schemas-microsoft-com:office:spreadsheet" in start:
        return _sheet_xml
    if _is_html(data) or start.startswith((b"<table", b"<meta")):
        return html.read
    if not data.startswith((_OLE, b"PK")) and b"\0" not in data[:2048] and (b"\t" in start or b";" in start):
        return _csv
    return None


def _sheet_xml(data: bytes, _charset: str) -> Parsed:
    return "", tables.sheet_xml(books.read_xml(data))


def _of_ole(data: bytes, suffix: str, read: mail.Read) -> Parsed:
    """What lies in Microsoft's older container, by the names of its streams."""
    if "__substg1.0_".encode("utf-16-le") in data:
        return mail.outlook(data, read)
    if suffix not in _OLD and "Workbook".encode("utf-16-le") in data:
        return "", tables.workbook(data, ".xls")
    raise UnsupportedMediaType(_old(data, suffix))


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
    return "", [
        Block(_readable(line), f"line {n}", "code") for n, line in enumerate(lines, 1) if line.strip()
    ]


def _readable(line: str) -> str:
    """A line of JSON, with letters for what is written as `\\u00fc`."""
    if "\\u" not in line:
        return line
    try:
        return json.dumps(json.loads(line), ensure_ascii=False)
    except ValueError:
        return line


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


READERS: dict[str, Reader] = {
    **dict.fromkeys((".md", ".markdown"), _markdown),
    **dict.fromkeys((".html", ".htm", ".xhtml"), html.read),
    ".xml": _xml,
    ".json": _json,
    **dict.fromkeys((".jsonl", ".ndjson"), _json_lines),
    ".csv": _csv,
    **dict.fromkeys((".tsv", ".tab"), _tsv),
    ".ipynb": _notebook,
    **dict.fromkeys((".ics", ".vcf"), cards.read),
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
    **dict.fromkeys((".docx", ".docm", ".dotx"), office.word),
    **dict.fromkeys((".pptx", ".pptm", ".ppsx"), office.slides),
    ".epub": books.epub,
}
_SHEETS = frozenset((".xls", ".xlsx", ".xlsm", ".xlsb"))
_PICTURES = frozenset((".png", ".jpg", ".jpeg", ".gif", ".tif", ".tiff", ".bmp", ".webp"))
