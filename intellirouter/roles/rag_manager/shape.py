"""What a query looks like, and how much its words and its meaning count then. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from heapq import nlargest

from intellirouter.roles.rag_manager import terms
from intellirouter.roles.rag_manager.lexical import telling

_QUOTED = re.compile(r"[\"“„«][^\"“”„«»]{2,200}[\"“”»]|`[^`]{2,200}`")
_MIXED = re.compile(r"\b(?=\w*\d)(?=\w*[^\W\d])\w{3,}\b|\b\d{4,}\b|\b0x[0-9a-fA-F]+\b")
"""Letters with digits, a long number: a part, a version, an error."""
_JOINED = re.compile(
    r"[^\W_]+(?:[_/.:@#-][_/.:@#-]?[^\W_]+)+|(?<!\w)--?\w[\w-]+|\b(?:[a-z]+|[A-Z][a-z]+[A-Z][a-z]+)[A-Z]\w+|\$\w+"
)
_ABBREVIATED = frozenset({"e.g", "i.e", "a.k.a", "i/o", "n/a", "w/o", "p.s"})
_SHOUTED = re.compile(r"\b[A-Z][A-Z0-9]{2,}\b")
_CLOSING = " \t\r\n\"'”’»)）"
TOLD = 0.87
"""The share of that weight for what is no question: a title, some words, the purpose of a page are more often in the text as they are."""
EXACT, NAMED, LONG = 0.15, 0.55, 0.6
"""Weights of meaning for a query that names something exactly, for one of a name or two, and for one that describes at length.

Of questions only those with exact names weigh less than a plain one: a text that answers a question seldom says it in its words,
however many it has.
"""
FOREIGN = 0.5
"""For one in words that the model hardly knows, of another language than it was made for or of a jargon."""
UNKNOWN = 0.05
"""Where the model does not know the query's script, see `fusion.words_first`."""
DESCRIBES = 8
"""A query of so many telling words describes what it is about, and its words are more to go by."""
_PAIRS_OF_A_WORD = 3
"""Of signs, in a script without spaces: each of a word of two, and those across its ends."""
_SHARE = 3
"""One telling word in so many is an exact name where the query is about that name."""
AHEAD, FAR = 1.3, 2.0
"""How many times as good the best match of words is as the next where an exact name of a longer query is what finds it, and where it is
so in a question: "Why don't one-liners work on my DOS/Mac/VMS system?" has what looks like names, and they are in many passages."""


def alpha_for(
    query: str,
    alpha: float,
    worded: Mapping[str, float] | None = None,
    *,
    known: bool = True,
    fluency: float = 1.0,
) -> float:
    """The weight of meaning for this query where `alpha` is that of a plain question.

    `worded` are the scores of what its words found; `known` says whether the embedding model knows the query's script, `fluency` how
    well it knows its words.
    """
    if not known:
        return UNKNOWN
    weight = _by_form(query, alpha, worded)
    return weight - (1 - fluency) * max(0.0, weight - FOREIGN)


def _by_form(query: str, alpha: float, worded: Mapping[str, float] | None) -> float:
    if is_exact(query, worded or {}):
        sure = not is_question(query) or not worded or _stands_out(worded, FAR)
        return min(alpha, EXACT if sure else NAMED)
    if is_question(query):
        return alpha
    if describes(query):
        return min(TOLD * alpha, LONG)
    if _SHOUTED.search(query) and not query.isupper():
        return min(TOLD * alpha, NAMED)
    return TOLD * alpha


def is_question(query: str) -> bool:
    """It ends as one does."""
    return query.rstrip(_CLOSING).endswith(("?", "？", "؟"))


def describes(query: str) -> bool:
    """It has as many words as a description has, in whatever script."""
    return sum(1 / _PAIRS_OF_A_WORD if terms.is_run(word) else 1 for word in telling(query)) >= DESCRIBES


def is_exact(query: str, worded: Mapping[str, float]) -> bool:
    """It names something exactly: it is about a phrase in quotes or a name of signs, or such a name is in one passage alone.

    A name or a quotation that a longer question only mentions does not make it one: "Why has Python no “with” statement?".
    """
    words = len(telling(query))
    quoted = [sum(1 for _ in terms.words(found[0])) for found in _QUOTED.finditer(query)]
    if max(quoted, default=0) > 1 and 2 * sum(quoted) >= words:
        return True
    spans = list(_names(query))
    if not spans:
        return False
    rest = query
    for start, end in reversed(spans):
        rest = f"{rest[:start]} {rest[end:]}"
    if _SHARE * len(spans) >= len(telling(rest)) + len(spans):
        return True
    return _stands_out(worded, AHEAD)


def _stands_out(worded: Mapping[str, float], times: float) -> bool:
    """Whether one match of words is so many times as good as the next."""
    first = nlargest(2, worded.values())
    return len(first) == 1 or (len(first) == 2 and first[0] >= times * first[1])


def _names(query: str) -> Iterator[tuple[int, int]]:
    """Where part numbers, error codes, paths, addresses, options and names of code stand, in order."""
    joined = [found.span() for found in _JOINED.finditer(query) if _is_name(found[0])]
    mixed = (found.span() for found in _MIXED.finditer(query))
    yield from sorted([*joined, *(one for one in mixed if not any(a <= one[0] < b for a, b in joined))])


def _is_name(word: str) -> bool:
    """Not two words that a hyphen or a slash joins, as in `read-only` or `and/or`, and no abbreviation."""
    if word.lower() in _ABBREVIATED:
        return False
    return not (
        word.replace("-", "").replace("/", "").isalpha() and word.islower() and not word.startswith("-")
    )
