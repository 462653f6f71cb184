"""PDF by page. One that asks for no password to open is read, whatever it forbids; pages that are pictures are read by OCR."""

from __future__ import annotations

import importlib
import io
from typing import Any

from intellirouter.counts import counted
from intellirouter.errors import UnsupportedMediaType
from intellirouter.roles.rag_manager.chunking import Block
from intellirouter.roles.rag_manager.parsing import ocr

_PICTURE = 20
"""A page with fewer characters may be a picture of one."""


def read(data: bytes) -> tuple[str, list[Block]]:
    """The title, and a block a page. Raises `UnsupportedMediaType` saying why there is no text."""
    pypdf: Any = importlib.import_module("pypdf")
    reader = pypdf.PdfReader(io.BytesIO(data))
    if reader.is_encrypted and not reader.decrypt(""):
        raise UnsupportedMediaType("is encrypted: it opens with a password only")
    title = str((reader.metadata or {}).get("/Title") or "")
    pages = []
    for number, page in enumerate(reader.pages, 1):
        text = page.extract_text() or ""
        if len(text.strip()) < _PICTURE and ocr.ready():
            text = ocr.page(data, number - 1) or text
        pages.append(Block(text, f"page {number}"))
    if pages and not any(page.text.strip() for page in pages):
        missing = "" if ocr.ready() else f" ({ocr.NEEDED})"
        raise UnsupportedMediaType(
            f"holds no text: its {counted(len(pages), 'page is a picture', 'pages are pictures')}{missing}"
        )
    return title, pages
