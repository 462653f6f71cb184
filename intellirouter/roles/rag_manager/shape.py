"""What a query looks like, and how much its words and its meaning count then. Pure functions."""

from __future__ import annotations

import re

_QUOTED = re.compile(r"[\"“„«][^\"“”„«»]{2,200}[\"”“»]|`[^`]{2,200}`")
_MIXED = re.compile(r"\b(?=\w*\d)(?=\w*[^\W\d])\w{3,}\b|\b\d{4,}\b|\b0x[0-9a-fA-F]+\b")
"""Letters with digits, a long number: a part, a version, an error."""
_JOINED = re.compile(r"[^\W_]+(?:[_/.:@#-][_/.:@#-]?[^\W_]+)+|--?\w[\w-]+|[a-z]+[A-Z]\w+|\$\w+")
_SHOUTED = re.compile(r"\b[A-Z][A-Z0-9]{2,}\b")
EXACT, NAMED = 0.15, 0.55
"""Weights of meaning for a query that names something exactly, and for one of a name or two."""
UNKNOWN = 0.005


def alpha_for(query: str, alpha: float, *, known: bool = True) -> float:
    """The weight of meaning for this query where `alpha` is that of a plain question.

    `known` says whether the embedding model knows the query's script.
    """
    if not known:
        return UNKNOWN
    if _QUOTED.search(query) or _MIXED.search(query) or any(map(_is_name, _JOINED.findall(query))):
        return min(alpha, EXACT)
    if _SHOUTED.search(query) and not query.isupper():
        return min(alpha, NAMED)
    return alpha


def _is_name(word: str) -> bool:
    """Not two words that a hyphen or a slash joins, as in `read-only` or `and/or`."""
    return not (
        word.replace("-", "").replace("/", "").isalpha() and word.islower() and not word.startswith("-")
    )
