"""What answers have in common: which of them most agree with. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import msgspec

from intellirouter.chat.response import ChatResponse

_FINAL = re.compile(r"answer[ \t]*(?:is|:)", re.IGNORECASE)
_MARKS = re.compile(r"[\s\W_]+")
COMPARED = 400
"""Words of an answer that likeness is judged by."""
_READ = 16 * COMPARED
"""Characters that hold them."""


def text_of(response: ChatResponse) -> str:
    """The words of an answer."""
    return response.choices[0].text if response.choices else ""


def calls_tools(response: ChatResponse) -> bool:
    """Whether it asks for tools instead of answering."""
    return any(choice.tool_calls for choice in response.choices)


def ballot(text: str) -> str:
    """What an answer votes for: its final answer where it says one, JSON without its layout, else its words."""
    try:
        return msgspec.json.encode(msgspec.json.decode(text), order="sorted").decode()
    except (msgspec.DecodeError, RecursionError):
        return _MARKS.sub(" ", (_final(text) or text).casefold()).strip()


def _final(text: str) -> str:
    """What follows the last "answer is" or "answer:", on its line or the next one that says something; empty where nothing does."""
    last, open_ = "", False
    for line in text.splitlines():
        found = _FINAL.search(line)
        said = line[found.end() if found else 0 :].strip("* \t")
        if said and (found or open_):
            last = said
        open_ = (open_ or found is not None) and not said
    return last


def winner(texts: Sequence[str], members: int) -> int | None:
    """The first answer of those that more than half of the members gave, None while that is open."""
    votes = [ballot(text) for text in texts]
    chosen, count = Counter(votes).most_common(1)[0]
    return votes.index(chosen) if count > members / 2 else None


def most_votes(texts: Sequence[str]) -> int:
    """The first answer of those that most gave; of equally many, the one most like the others."""
    votes = [ballot(text) for text in texts]
    counts = Counter(votes)
    most = max(counts.values())
    likeness = _likeness(texts)
    best = max(
        (place for place, vote in enumerate(votes) if counts[vote] == most),
        key=lambda place: (likeness[place], -place),
    )
    return votes.index(votes[best])


def most_alike(texts: Sequence[str]) -> int:
    """The answer most like all others: what several hold is less often wrong."""
    likeness = _likeness(texts)
    return max(range(len(texts)), key=lambda place: (likeness[place], -place))


def _likeness(texts: Sequence[str]) -> list[float]:
    """For each, the sum over the others of Dice's coefficient of their words and pairs of words: linear in their length."""
    bags = [_bag(text) for text in texts]
    return [sum(_dice(one, other) for other in bags if other is not one) for one in bags]


def _bag(text: str) -> Counter[str | tuple[str, str]]:
    words = text[:_READ].casefold().split()[:COMPARED]
    return Counter[str | tuple[str, str]]([*words, *pairwise(words)])


def _dice(one: Counter[str | tuple[str, str]], other: Counter[str | tuple[str, str]]) -> float:
    return 2 * (one & other).total() / max(1, one.total() + other.total())
