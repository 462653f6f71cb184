"""One function a format: bytes to a title and blocks. Runs only in the parsing process."""

from __future__ import annotations

import csv
import importlib
import io
import json
import re
import zipfile
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import PurePosixPath

from intellirouter.errors import UnsupportedMediaType
from intellirouter.roles.rag_manager.chunking import Block

Parsed = tuple[str, list[Block]]

_TITLE = 300
"""Characters of a heading that are kept as a title and in what tells where a passage stands."""
_SPACE = re.compile(r"\s+")
EXPANDED_BYTES = 256 << 20
"""What an Office file, which is a zip archive, may expand to."""
_OFFICE = {".docx", ".pptx", ".xlsx", ".odt", ".epub"}


def parse(name: str, data: bytes) -> Parsed:
    """Raises `UnsupportedMediaType` for a format that none of them reads."""
    suffix = PurePosixPath(name).suffix.lower()
    reader = READERS.get(suffix)
    if reader is not None:
        return reader(data)
    if suffix in _OFFICE:
        return _office(data, suffix)
    if data[:5] == b"%PDF-":
        return _pdf(data)
    return _text(data)


def decode(data: bytes) -> str:
    """Text by its byte order mark, as UTF-8, else as Windows-1252 with what that lacks replaced.

    Raises `UnsupportedMediaType` for what is no text at all.
    """
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", errors="replace")
    if b"\0" in data[:4096]:
        raise UnsupportedMediaType("is a binary file of no known format")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


def _text(data: bytes) -> Parsed:
    return "", [Block(decode(data))]


def _markdown(data: bytes) -> Parsed:
    return _sections(decode(data))


def _sections(text: str) -> Parsed:
    """Markdown by heading; fenced code and tables are blocks of their own."""
    title = ""
    path: list[tuple[int, str]] = []
    blocks: list[Block] = []
    held: list[str] = []
    kind = "text"

    def flush() -> None:
        if any(line.strip() for line in held):
            blocks.append(Block("\n".join(held), " › ".join(name for _, name in path), kind))
        held.clear()

    for line in text.splitlines():
        fence = line.lstrip().startswith(("```", "~~~"))
        if kind == "code":
            held.append(line)
            if fence:
                flush()
                kind = "text"
            continue
        heading = _heading(line)
        wanted = "code" if fence else "table" if line.lstrip().startswith("|") else "text"
        if heading or wanted != kind:
            flush()
            kind = wanted
        if heading:
            level, name = heading
            title = title or name
            path = [above for above in path if above[0] < level] + [heading]
        else:
            held.append(line)
    flush()
    return title, blocks


def _heading(line: str) -> tuple[int, str] | None:
    """The level and the words of a heading (`## Words ##`); None for any other line."""
    level = len(line) - len(line[:7].lstrip("#")) - len(line[7:])
    if not 1 <= level <= 6 or not line[level : level + 1].isspace():
        return None
    words = line[level:].strip()
    words = words.rstrip("#").rstrip() or words
    return (level, words[:_TITLE]) if words else None


class _Page(HTMLParser):
    """HTML as Markdown: headings, paragraphs, list items, table rows and preformatted text."""

    SKIPPED = frozenset({"script", "style", "noscript", "template", "nav", "svg"})
    BREAKS = frozenset(
        {"p", "div", "section", "article", "ul", "ol", "dl", "dd", "dt", "table", "blockquote"}
    )

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.out: list[str] = []
        self.title = ""
        self._skip = 0
        self._in_title = False
        self._pre = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        if tag in self.SKIPPED:
            self._skip += 1
        elif tag == "title":
            self._in_title = True
        elif len(tag) == 2 and tag[0] == "h" and tag[1].isdigit():
            self.out.append(f"\n\n{'#' * int(tag[1])} ")
        elif tag == "pre":
            self._pre = True
            self.out.append("\n\n```\n")
        elif tag in self.BREAKS:
            self.out.append("\n\n")
        elif tag in ("br", "li", "tr"):
            self.out.append({"br": "\n", "li": "\n- ", "tr": "\n| "}[tag])

    def handle_endtag(self, tag: str) -> None:
        if tag in self.SKIPPED:
            self._skip = max(0, self._skip - 1)
        elif tag == "title":
            self._in_title = False
        elif tag == "pre":
            self._pre = False
            self.out.append("\n```\n")
        elif len(tag) == 2 and tag[0] == "h" and tag[1].isdigit():
            self.out.append("\n\n")
        elif tag in ("td", "th"):
            self.out.append(" | ")

    def handle_data(self, data: str) -> None:
        if self._in_title:
            if len(self.title) < _TITLE:
                self.title += data[:_TITLE]
        elif not self._skip:
            self.out.append(data if self._pre else _SPACE.sub(" ", data))


def _html(data: bytes) -> Parsed:
    page = _Page()
    page.feed(decode(data))
    page.close()
    title, blocks = _sections("".join(page.out))
    return " ".join(page.title.split()) or title, blocks


def _json(data: bytes) -> Parsed:
    text = decode(data)
    try:
        value = json.loads(text)
    except ValueError:
        return "", [Block(text)]
    items = value if isinstance(value, list) else [value]
    return "", [
        Block(json.dumps(item, ensure_ascii=False, indent=1), f"[{i}]", "code")
        for i, item in enumerate(items)
    ]


def _json_lines(data: bytes) -> Parsed:
    lines = [line for line in decode(data).splitlines() if line.strip()]
    return "", [Block(line, f"line {number}", "code") for number, line in enumerate(lines, 1)]


def _csv(data: bytes, delimiter: str = ",") -> Parsed:
    """A row reads as `column: value` lines, so that it means something alone."""
    csv.field_size_limit(len(data) + 1)  # no field is longer, and the default refuses one of 128 kB
    rows = csv.reader(io.StringIO(decode(data)), delimiter=delimiter)
    header = next(rows, [])

    def lines() -> Iterator[Block]:
        for row in rows:
            pairs = zip(header, row, strict=False)
            yield Block("; ".join(f"{name}: {value}" for name, value in pairs if value), "", "table")

    return "", list(lines())


def _tsv(data: bytes) -> Parsed:
    return _csv(data, "\t")


def _pdf(data: bytes) -> Parsed:
    reader = importlib.import_module("pypdf").PdfReader(io.BytesIO(data))
    title = str((reader.metadata or {}).get("/Title") or "")
    pages = [Block(page.extract_text() or "", f"page {n}") for n, page in enumerate(reader.pages, 1)]
    return title, pages


def _office(data: bytes, suffix: str) -> Parsed:
    try:
        expanded = sum(part.file_size for part in zipfile.ZipFile(io.BytesIO(data)).infolist())
    except (zipfile.BadZipFile, ValueError) as cause:
        raise UnsupportedMediaType(f"is no Office document, despite its name ({suffix}).") from cause
    if expanded > EXPANDED_BYTES:
        raise UnsupportedMediaType(f"expands to {expanded >> 20} MiB, more than {EXPANDED_BYTES >> 20}.")
    try:
        markitdown = importlib.import_module("markitdown")
    except ImportError as cause:
        raise UnsupportedMediaType(
            f"Reading {suffix} needs the office extra: pip install 'intellirouter[office]'."
        ) from cause
    return _sections(
        markitdown.MarkItDown().convert_stream(io.BytesIO(data), file_extension=suffix).text_content
    )


READERS: dict[str, Callable[[bytes], Parsed]] = {
    ".md": _markdown,
    ".markdown": _markdown,
    ".html": _html,
    ".htm": _html,
    ".xhtml": _html,
    ".json": _json,
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".csv": _csv,
    ".tsv": _tsv,
    ".pdf": _pdf,
    ".txt": _text,
}
