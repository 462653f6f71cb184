"""Which encodings that a stranger names are read."""

from __future__ import annotations

import codecs

MAX_LABEL = 40
_NOT_READ = frozenset(("punycode", "idna", "undefined", "unicode-escape", "raw-unicode-escape"))
"""Python's own, which no document is in: the first takes a minute for a megabyte, and what the last two hold are escapes."""


def text_codec(label: str) -> str | None:
    """Python's name of an encoding of documents; None for one that is not known."""
    if len(label) > MAX_LABEL:
        return None
    try:
        found = codecs.lookup(label)
    except (LookupError, ValueError):  # the second of a NUL in it, and of half a character
        return None
    known = found._is_text_encoding and found.name not in _NOT_READ  # noqa: SLF001  the only word on it: `hex` is a codec too
    return found.name if known else None
