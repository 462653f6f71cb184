"""Documents that are an archive of XML: OpenDocument and EPUB; and notebooks and RTF."""

from __future__ import annotations

import importlib
import io
import json
import posixpath
import re
import zipfile
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote
from xml.etree import (
    ElementTree as ET,
)  # the parsing process is bounded in memory and time, and expat in expansion

from intellirouter.errors import UnsupportedMediaType
from intellirouter.roles.rag_manager.chunking import Block
from intellirouter.roles.rag_manager.parsing import html
from intellirouter.roles.rag_manager.parsing.damage import damaged
from intellirouter.roles.rag_manager.parsing.markdown import sections

Parsed = tuple[str, list[Block]]
EXPANDED_BYTES = 256 << 20
"""What an archive may expand to."""
_ARCHIVE = b"PK\x03\x04"
_OUTPUT_CHARACTERS = 2_000
_FOOTNOTE = re.compile(r"\{\\footnote\b ?")
_UNSEEN = frozenset(
    "tracked-changes annotation annotation-end sequence-decls forms table-of-content bibliography".split()
)


def archive(data: bytes, what: str) -> zipfile.ZipFile:
    """The archive. Raises `UnsupportedMediaType` for what is none or damaged, and for one that grows too much."""
    try:
        opened = zipfile.ZipFile(io.BytesIO(data))
        expanded = sum(part.file_size for part in opened.infolist())
    except (zipfile.BadZipFile, ValueError) as cause:
        if data.startswith(_ARCHIVE):
            raise damaged("", f"an {what}" if what[0] in "EOa" else f"a {what}") from cause
        raise UnsupportedMediaType(f"is no {what}, despite its name.") from cause
    if expanded > EXPANDED_BYTES:
        raise UnsupportedMediaType(f"expands to {expanded >> 20} MiB, more than {EXPANDED_BYTES >> 20}.")
    if any(part.flag_bits & 1 for part in opened.infolist()):
        raise UnsupportedMediaType("is encrypted: it opens with a password only")
    return opened


def opendocument(data: bytes) -> Parsed:
    """Text, slides or drawings of OpenDocument."""
    opened = archive(data, "OpenDocument file")
    names = opened.namelist()
    if "content.xml" not in names:
        raise UnsupportedMediaType("is no OpenDocument file, despite its name.")
    if "META-INF/manifest.xml" in names and b"encryption-data" in opened.read("META-INF/manifest.xml"):
        raise UnsupportedMediaType("is encrypted: it opens with a password only")
    blocks: list[Block] = []
    slide, title = 0, ""
    body = read_xml(opened.read("content.xml")).find("{*}body")
    for page in _pages(body) if body is not None else ():
        text = "".join(_written(page))
        named, parts = sections(text)
        title = title or named
        if tag_of(page) == "page":
            slide += 1
            parts = [part.under(f"slide {slide}") for part in parts]
        blocks += parts
    return title, blocks


def _pages(body: ET.Element) -> Iterator[ET.Element]:
    slides = list(body.iter("{urn:oasis:names:tc:opendocument:xmlns:drawing:1.0}page"))
    yield from slides or [body]


def _written(node: ET.Element) -> Iterator[str]:
    tag = tag_of(node)
    if tag in _UNSEEN:
        return
    if tag == "h":
        level = next((value for name, value in node.attrib.items() if name.endswith("outline-level")), "1")
        yield f"\n\n{'#' * min(6, int(level) if level.isdigit() else 1)} {' '.join(''.join(_inline(node)).split())}\n\n"
    elif tag == "p":
        yield f"{''.join(_inline(node))}\n\n"
    elif tag == "table":
        yield "\n\n"
        for row in node.iter():
            if tag_of(row) == "table-row":
                cells = [
                    " ".join("".join(_inline(cell)).split()) for cell in row if tag_of(cell) == "table-cell"
                ]
                if any(cells):
                    yield f"| {' | '.join(cells)} |\n"
        yield "\n\n"
    else:
        for child in node:
            yield "- " if tag == "list-item" and tag_of(child) == "p" else ""
            yield from _written(child)


def _inline(node: ET.Element) -> Iterator[str]:
    yield node.text or ""
    for child in node:
        tag = tag_of(child)
        if tag == "s":
            count = next((value for name, value in child.attrib.items() if name.endswith("}c")), "1")
            yield " " * min(int(count) if count.isdigit() else 1, 100)
        elif tag in ("tab", "line-break"):
            yield "\t" if tag == "tab" else "\n"
        elif tag not in _UNSEEN:
            yield from _inline(child)
            yield "\n" if tag in ("p", "h") else ""
        yield child.tail or ""


def epub(data: bytes) -> Parsed:
    """A book's chapters in reading order."""
    opened = archive(data, "EPUB book")
    names = set(opened.namelist())
    if "META-INF/rights.xml" in names or (
        "META-INF/encryption.xml" in names and b"xhtml" in opened.read("META-INF/encryption.xml")
    ):
        raise UnsupportedMediaType("is encrypted (DRM)")
    try:
        container = read_xml(opened.read("META-INF/container.xml"))
        package = next(value for node in container.iter() if (value := node.get("full-path")))
        book = read_xml(opened.read(package))
    except (KeyError, StopIteration) as cause:
        raise UnsupportedMediaType("is no EPUB book, despite its name.") from cause
    files = {node.get("id"): unquote(node.get("href", "")) for node in book.iter() if tag_of(node) == "item"}
    title = next(("".join(node.itertext()).strip() for node in book.iter() if tag_of(node) == "title"), "")
    blocks: list[Block] = []
    chapter = 0
    for node in book.iter():
        if tag_of(node) != "itemref":
            continue
        name = posixpath.normpath(
            posixpath.join(posixpath.dirname(package), files.get(node.get("idref"), ""))
        )
        if name not in names:
            continue
        chapter += 1
        _, parts = html.read(opened.read(name))
        blocks += [part if part.location else part.under(f"chapter {chapter}") for part in parts]
    return title, blocks


def notebook(text: str) -> Parsed:
    """A Jupyter notebook's cells with what they printed; pictures are left out."""
    try:
        content = json.loads(text)
        cells = content["cells"] if "cells" in content else content["worksheets"][0]["cells"]
    except (ValueError, KeyError, TypeError, IndexError) as cause:
        raise UnsupportedMediaType("is no notebook, despite its name.") from cause
    title, heading = "", ""
    blocks: list[Block] = []
    for number, cell in enumerate(cells, 1):
        source = _lines(cell.get("source", cell.get("input", "")))
        if cell.get("cell_type") == "markdown":
            named, parts = sections(source)
            title, heading = title or named, parts[-1].location if parts and parts[-1].location else heading
            blocks += [part if part.location else part.under(heading) for part in parts]
        elif cell.get("cell_type") in ("code", "raw"):
            printed = "\n".join(_printed(output) for output in cell.get("outputs", ()))[:_OUTPUT_CHARACTERS]
            text = f"{source}\n\n{printed}".strip()
            blocks.append(Block(text, f"{heading} › cell {number}" if heading else f"cell {number}", "code"))
    return title, blocks


def _printed(output: dict[str, Any]) -> str:
    shown = output.get("data", {})
    plain = _lines(output.get("text") or shown.get("text/plain") or "")
    if not plain and "text/html" in shown:
        return "\n".join(block.text for block in html.of_text(_lines(shown["text/html"]))[1])
    return plain or ": ".join(filter(None, (str(output.get(key) or "") for key in ("ename", "evalue"))))


def _lines(text: object) -> str:
    return "".join(map(str, text)) if isinstance(text, list) else str(text)


def rtf(data: bytes) -> Parsed:
    """Rich text."""
    if not data.lstrip().startswith(b"{\\rtf"):
        raise UnsupportedMediaType("is no rich text, despite its name (.rtf).")
    striprtf: Any = importlib.import_module("striprtf.striprtf")
    text: str = striprtf.rtf_to_text(_FOOTNOTE.sub(r"{\\par ", data.decode("latin-1")), errors="ignore")
    return "", [Block(text)]


def read_xml(data: bytes) -> ET.Element:
    """A part of an archive. Raises `UnsupportedMediaType`."""
    if b"<!ENTITY" in data[: 64 << 10]:
        raise UnsupportedMediaType("defines entities of its own, as no such document does")
    try:
        return ET.fromstring(data)  # noqa: S314 - see the import
    except ET.ParseError as cause:
        raise UnsupportedMediaType(f"is broken inside: {cause}") from cause


def tag_of(node: ET.Element) -> str:
    """The name without its namespace."""
    return str(node.tag).rpartition("}")[2]
