"""What media are: by their first bytes, by the names they go by, and whether they are text.

Clients name a type wrongly or not at all, and vendors refuse a picture whose bytes are another kind than its type says.
"""

from __future__ import annotations

import base64
import binascii
import codecs
from urllib.parse import unquote_to_bytes, urlsplit

_SIGNATURES = {
    "iVBORw0KGgo": "image/png",
    "/9j/": "image/jpeg",
    "R0lGOD": "image/gif",
    "UklGR": "image/webp",  # RIFF, which sound in WAV begins with too: only asked of pictures
    "Qk": "image/bmp",
    "SUkqA": "image/tiff",
    "TU0AK": "image/tiff",
}
_IMAGE_NAMES = {"image/jpg": "image/jpeg", "image/pjpeg": "image/jpeg", "image/x-png": "image/png"}
_AUDIO_NAMES = {
    "mpeg": "mp3",
    "mpga": "mp3",
    "mpeg3": "mp3",
    "mpeg-3": "mp3",
    "wave": "wav",
    "vnd.wave": "wav",
    "pn-wav": "wav",
    "aif": "aiff",
    "mp4": "m4a",
    "mp4a-latm": "m4a",
    "l16": "pcm16",
    "pcm": "pcm16",
    "oga": "ogg",
}
_TEXT_TYPES = frozenset(
    """application/json application/xml application/yaml application/x-yaml application/javascript application/x-sh
    application/x-python application/typescript application/toml application/sql application/x-ndjson application/rtf
    application/x-javascript application/graphql application/jsonl image/svg+xml""".split()
)


_ENDINGS = {
    **{ending: f"image/{ending}" for ending in ("png", "gif", "webp", "heic", "heif")},
    **{ending: f"video/{ending}" for ending in ("mp4", "mpeg", "webm", "mov", "avi")},
    **{ending: f"audio/{ending}" for ending in ("wav", "mp3", "flac", "ogg", "aac")},
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "pdf": "application/pdf",
    "txt": "text/plain",
    "csv": "text/csv",
    "html": "text/html",
    "md": "text/markdown",
}
_PDF = "JVBERi0"
_HEAD = 4_096
"""Characters of base64 that tell most files from texts."""
_LEAST_PICTURE = 32
"""Characters of a picture in base64: what is shorter is a name."""


def split_data_url(url: str) -> tuple[str, str] | None:
    """Media type and base64 of a `data:` URL, or None for any other URL. One in plain text (RFC 2397) is encoded."""
    if url[:5].lower() != "data:":
        return None
    head, comma, data = url[5:].partition(",")
    if not comma:
        return None
    kind, *parameters = [word.strip() for word in head.split(";")]
    if not parameters or parameters[-1].lower() != "base64":
        data = base64.b64encode(unquote_to_bytes(data)).decode()
    return kind or "application/octet-stream", data


def bare_picture(url: str) -> str | None:
    """The media type of what stands where a URL should and is a picture in base64; None for any other text."""
    return image_type(None, url) if len(url) >= _LEAST_PICTURE and ":" not in url[:64] else None


def type_by_name(url: str) -> str | None:
    """The media type of what a URL leads to, by the ending of its path, where that says one."""
    try:
        path = urlsplit(url).path
    except ValueError:
        return None
    return _ENDINGS.get(path.rpartition("/")[2].rpartition(".")[2].lower())


def image_type(declared: str | None, data: str | None) -> str | None:
    """The media type of a picture in base64: what its bytes say, else what was declared, by its proper name."""
    plain = plain_type(declared)
    if data is not None:
        found = next((kind for start, kind in _SIGNATURES.items() if data.startswith(start)), None)
        if found is not None and not (found == "image/bmp" and plain is not None):
            return found
    return plain


def plain_type(declared: str | None) -> str | None:
    """A media type in lower case, without its parameters, by its proper name."""
    if declared is None:
        return None
    plain = declared.partition(";")[0].strip().lower()
    return _IMAGE_NAMES.get(plain, plain)


def audio_name(declared: str) -> str:
    """The common name of a kind of sound, of a media type or a file's ending: `audio/mpeg;x=1` is mp3."""
    word = declared.partition(";")[0].strip().lower().removeprefix("audio/").removeprefix("x-")
    return _AUDIO_NAMES.get(word, word)


def is_text(kind: str | None) -> bool:
    """Whether a document of this media type is words."""
    plain = plain_type(kind) or ""
    return plain.startswith("text/") or plain in _TEXT_TYPES or plain.endswith(("+json", "+xml"))


def words_of(data: str) -> str | None:
    """The words of a text in base64; None where it is not one."""
    try:
        return base64.b64decode(data, validate=True).decode()
    except (binascii.Error, ValueError):
        return None


def words_in(data: str) -> str | None:
    """The words of whatever is text in base64, by whatever type it goes: who reads it may not heed that. None for a PDF and what is no text."""
    if data.startswith(_PDF):
        return None
    head = "".join(data[:_HEAD].split())
    try:
        codecs.getincrementaldecoder("utf-8")().decode(base64.b64decode(head[: len(head) // 4 * 4]))
        return base64.b64decode(data).decode()
    except (binascii.Error, ValueError):
        return None
