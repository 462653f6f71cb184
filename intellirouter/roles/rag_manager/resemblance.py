"""Whether two texts are one, but for a word here and there: another edition of a page, a copy with another date. Pure functions.

Resemblance of sets of shingles after Broder 1997, "On the resemblance and containment of documents".
"""

from __future__ import annotations

import re

SHINGLE = 3
"""Words in a row; a sign counts as a word, for `a + b` is not `a - b`."""
ALIKE = 0.9
"""In a text of a hundred words one word may differ, or two that stand together."""
_WORD = re.compile(r"\w+|[^\w\s]")

Shingles = frozenset[tuple[str, ...]]


def shingles(text: str) -> Shingles:
    """Every run of `SHINGLE` words, without case and spacing; of a shorter text, all of it."""
    words = _WORD.findall(text.lower())
    return frozenset(zip(*(words[start:] for start in range(SHINGLE)), strict=False)) or frozenset(
        [tuple(words)]
    )


def alike(one: Shingles, other: Shingles) -> bool:
    """What they share is at least `ALIKE` of what they have together."""
    if min(len(one), len(other)) < ALIKE * max(len(one), len(other)):
        return False  # most pairs end here
    shared = len(one & other)
    return shared >= ALIKE * (len(one) + len(other) - shared)
