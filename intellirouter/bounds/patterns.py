"""Regular expressions over strangers' text, in time that grows with the text and no faster (RE2).

RE2 has no look-around and no back-references, and repeats at most 1,000 times: what needs them is refused where it is given.
`\\d`, `\\w` and `\\s` mean ASCII. An operator's pattern is held to the same: a pattern that was harmless in a try stops the
node for the first text that it does not fit.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Protocol

import re2  # type: ignore[import-untyped]  # it brings no types

from intellirouter.bounds.fuel import burn
from intellirouter.errors import InvalidRequest

MAX_LENGTH = 1_000
"""Characters of a pattern."""
_MEMORY = 1 << 20  # bytes one pattern may take while it searches
_KEPT = 512
_PER_UNIT = 16
_ESCAPED = re.compile(r"\\(u[0-9A-Fa-f]{4}|[\s\S])")


class BadPattern(InvalidRequest):
    """A regular expression is none, or needs what would not be bounded in time."""

    code = "bad_pattern"


class Pattern(Protocol):
    """A compiled pattern."""

    def search(self, text: str) -> object | None:
        """The first place where it fits."""


def compiled(pattern: str, *, any_case: bool = False) -> Pattern:
    """The pattern. Raises `BadPattern`; the caller says where it stands."""
    if len(pattern) > MAX_LENGTH:
        raise BadPattern(f"A pattern holds at most {MAX_LENGTH:,} characters.")
    return _compiled(pattern, any_case)


def ecma(text: Any) -> Pattern:
    """An ECMA pattern of a JSON Schema, in RE2's spelling. Raises `BadPattern`."""
    spelled = _ESCAPED.sub(
        lambda found: (
            f"\\x{{{found[1][1:]}}}" if len(found[1]) == 5 else "/" if found[1] == "/" else found[0]
        ),
        str(text),
    )
    return compiled(spelled)


@lru_cache(maxsize=_KEPT)
def _compiled(pattern: str, any_case: bool) -> Pattern:
    options = re2.Options()
    options.log_errors = False
    options.case_sensitive = not any_case
    options.max_mem = _MEMORY
    try:
        found: Pattern = re2.compile(pattern, options)
    except re2.error as cause:
        (reason,) = cause.args or ("",)
        told = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        raise BadPattern(
            f"'{pattern[:80]}' is no regular expression of RE2 syntax, which has no look-around and no back-references "
            f"({told[:120]})."
        ) from cause
    except UnicodeError as cause:
        raise BadPattern("A pattern must be text without lone surrogates.") from cause
    return found


def found_in(pattern: Pattern, text: str) -> bool:
    """Whether the pattern fits somewhere in the text; the work is counted."""
    burn(2 + len(text) // _PER_UNIT)
    try:
        return pattern.search(text) is not None
    except UnicodeError:  # a lone surrogate, which no UTF-8 has
        return pattern.search(text.encode("utf-8", "replace").decode()) is not None
