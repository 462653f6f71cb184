"""Text of pictures, by Tesseract where it is installed; PDF pages are drawn by PDFium (extra `ocr`)."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import io
import math
import shutil
import subprocess
from typing import Any

from intellirouter.errors import UnsupportedMediaType
from intellirouter.roles.rag_manager.chunking import Block

NEEDED = "reading them needs Tesseract and the ocr extra: apt install tesseract-ocr; pip install 'intellirouter[ocr]'"
_SCALE = 300 / 72
"""300 dots an inch, as Tesseract's documentation advises; a PDF's unit is 1/72 inch."""
_MOST_PIXELS = 40_000_000
_SECONDS = 60


@functools.cache
def ready() -> bool:
    """Tesseract and what draws pages for it are there."""
    return bool(shutil.which("tesseract")) and all(
        importlib.util.find_spec(name) for name in ("pypdfium2", "PIL")
    )


def picture(data: bytes) -> list[Block]:
    """The text of a picture. Raises `UnsupportedMediaType` where there is none, or nothing to read it with."""
    if not ready():
        raise UnsupportedMediaType(f"is a picture ({NEEDED})")
    image: Any = importlib.import_module("PIL.Image")
    with image.open(io.BytesIO(data)) as opened:
        if opened.width * opened.height > _MOST_PIXELS:
            raise UnsupportedMediaType(
                f"is a picture of more than {_MOST_PIXELS // 1_000_000} million pixels"
            )
        text = _read(opened.convert("L"))
    if not text:
        raise UnsupportedMediaType("is a picture without text that can be read")
    return [Block(text)]


def page(data: bytes, number: int) -> str:
    """The text of a PDF's page, counted from 0."""
    document: Any = importlib.import_module("pypdfium2").PdfDocument(data)
    try:
        drawn = document[number]
        return _read(drawn.render(scale=scale_of(*drawn.get_size()), grayscale=True).to_pil())
    finally:
        document.close()


def scale_of(width: float, height: float) -> float:
    """Pixels for each unit of a page of that size, which is drawn with 300 dots an inch, or with as many as its bound allows."""
    return _SCALE / max(1.0, _SCALE * math.sqrt(width * height / _MOST_PIXELS))


def _read(image: Any) -> str:
    raw = io.BytesIO()
    image.save(raw, "PNG")
    languages = "+".join(_languages())
    done = subprocess.run(  # noqa: S603 - no word of it is a document's
        ["tesseract", "stdin", "stdout", "-l", languages],  # noqa: S607
        input=raw.getvalue(),
        capture_output=True,
        timeout=_SECONDS,
        check=False,
        env={"OMP_THREAD_LIMIT": "1", "PATH": "/usr/local/bin:/usr/bin:/bin"},
    )
    return done.stdout.decode("utf-8", "replace").strip()


@functools.cache
def _languages() -> tuple[str, ...]:
    """Those that are installed, `osd` is none."""
    done = subprocess.run(["tesseract", "--list-langs"], capture_output=True, timeout=_SECONDS, check=False)  # noqa: S607
    names = done.stdout.decode("ascii", "replace").splitlines()[1:]
    return tuple(name for name in names if name and name != "osd") or ("eng",)
