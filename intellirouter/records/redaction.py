"""Content as the record may keep it: secrets masked, files and images by their hash, and no longer than is allowed.

Maskers are functions from text to text, run over every string of a body in turn: secrets first, then whoever finds persons' data.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

Masker = Callable[[str], str]

LONGEST_PLAIN = 512
"""A longer string of nothing but base64 is a file, whatever its field is called."""
MAX_DEPTH = 64
CUT = "… [cut]"
_BASE64 = re.compile(r"[A-Za-z0-9+/_\-\s]+={0,2}\s*")
_DATA_URL = re.compile(r"data:([\w.+/\-]*)[^,]{0,100},")
_SPACE = re.compile(r"\s")


class Redaction:
    """What makes content fit to be kept."""

    def __init__(self, maskers: Sequence[Masker] = (), max_bytes: int = 65_536) -> None:
        self._maskers = tuple(maskers)
        self._max_bytes = max_bytes

    def body(self, value: Any) -> str:
        """A JSON value as text. One that is too long is cut, and no JSON any more."""
        return self.cut(msgspec.json.encode(self._clean(value, 0)).decode())

    def cut(self, text: str) -> str:
        """A text no longer than may be kept."""
        if len(text.encode()) <= self._max_bytes:
            return text
        return text.encode()[: self._max_bytes].decode(errors="ignore") + CUT

    def text(self, text: str) -> str:
        """One string, masked."""
        for masker in self._maskers:
            text = masker(text)
        return text

    def _clean(self, value: Any, depth: int) -> Any:
        if depth > MAX_DEPTH:
            return CUT
        if isinstance(value, str):
            return self.string(value)
        if isinstance(value, dict):
            return {str(name): self._clean(inner, depth + 1) for name, inner in value.items()}
        if isinstance(value, (list, tuple)):
            return [self._clean(inner, depth + 1) for inner in value]
        return value

    def string(self, text: str) -> str:
        """One string, masked; a file by its hash, and of a long text little more than may be kept."""
        if (found := _DATA_URL.match(text)) is not None:
            return f"[{found[1] or 'data'} {hashed(text[found.end() :])}]"
        if len(text) > LONGEST_PLAIN and not _SPACE.search(text[:LONGEST_PLAIN]) and _BASE64.fullmatch(text):
            return f"[file {hashed(text)}]"
        # a little more than may be kept, so that a mask that shortens does not leave a hole
        return self.text(text if len(text) <= 2 * self._max_bytes else text[: 2 * self._max_bytes])


def hashed(data: str) -> str:
    """What stands for a file: enough to see that two are the same."""
    return f"sha256:{hashlib.sha256(data.encode()).hexdigest()}, {len(data)} characters"
