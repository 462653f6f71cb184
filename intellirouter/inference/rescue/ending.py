"""Whether an answer that was mended comes to an end: nothing that it opened may be open still.

What it was on its way to is told by what it began: a list of five, a block of code, a bracket, a sentence. Each of these
still open says that the model which took over stopped too soon.
"""

from __future__ import annotations

import itertools
import re

import msgspec

from intellirouter.inference.rescue.opening import MANY, another_subject
from intellirouter.inference.rescue.scripts import (
    FUNCTION_WORDS,
    SPACELESS,
    json_state,
    mid_sentence,
    open_fence,
    words,
)

SHORTEST, SHORTEST_SIGNS = 12, 4
"""Characters, or signs of a script without spaces: less is no rest of an answer, unless it closes what was open."""
_NUMBERS = {
    word: value
    for names in (
        "two three four five six seven eight nine ten eleven twelve",
        "zwei drei vier fünf sechs sieben acht neun zehn elf zwölf",
        "deux trois quatre cinq six sept huit neuf dix onze douze",
        "dos tres cuatro cinco seis siete ocho nueve diez once doce",
    )
    for value, word in enumerate(names.split(), 2)
}
_COUNT = rf"(?P<count>\d{{1,3}}|{'|'.join(_NUMBERS)})"
_ANNOUNCED = re.compile(
    rf"(?<![\w.,$€]){_COUNT}\s+(?:[^\W\d]{{1,40}}[\s-]{{1,3}}){{0,5}}[^\W\d]{{1,40}}[^\n:.]{{0,80}}:[ \t]*\**$",
    re.I | re.M,
)
"""`Here are five reasons to …:` at the end of a line."""
_ASKED = re.compile(
    rf"\b(?:list|give|name|write|tell|show|suggest|nenne|liste|donne|enumera|dame|give me|provide)\b[^.\n]{{0,40}}?\b{_COUNT}\s{{1,3}}[^\W\d]",
    re.I,
)
_TO = re.compile(r"\b(?:to|until|bis|jusqu[’']?à|hasta|through|-|–)\s*(\d{1,6})\b", re.I)
_NUMBERED = re.compile(r"^[ \t]{0,3}\**(\d{1,3})[.)]\**[ \t]+(?=\S)", re.M)
_BULLET = re.compile(r"^[-*+•][ \t]+(?=\S)", re.M)
_FENCED_JSON = re.compile(r"^```json[ \t]*\n(.*?)^```[ \t]*$", re.M | re.S)
_EMPTY_ITEM = re.compile(r"(?:^|\n)[ \t]*(?:[-*+•]|\d{1,3}[.)])[ \t]*$")
_PAIRS = (("(", ")"), ("[", "]"), ("{", "}"), ("“", "”"), ("«", "»"), ("「", "」"), ("（", "）"))
_LINE_WITHOUT_END = re.compile(r"^(?:[ \t]*(?:[-*+•>|#]|\d{1,3}[.)])|.*[|`>*_]$|\S+$)")


def not_an_end(said: str, more: str, asked: str) -> str | None:
    """Why an answer, `said` before it broke and `more` after, cannot end here; None where it may."""
    new = more.strip()
    if not new:
        return "nothing was added"
    whole = said + more
    left = still_open(whole, asked)
    if left is not None:
        return left
    spaceless = len(SPACELESS.findall(new))
    short = len(new) < SHORTEST and spaceless < SHORTEST_SIGNS
    if short and still_open(said, asked) in (None, MID_SENTENCE):
        return "too little was added to be the rest of it"
    return "it is about something else" if another_subject(said, more, asked, MANY) else None


MID_SENTENCE = "a sentence is not finished"


def still_open(text: str, asked: str) -> str | None:
    """What the text has begun and not ended."""
    text = text.rstrip()
    if open_fence(text) >= 0:
        return "a block of code is open"
    if text.lstrip()[:1] in ("{", "[") and text.count('"') > 1:
        depth, string = json_state(text)
        if depth > 0 or string or (text[-1] in "]}" and not _is_json(text)):
            return "its JSON is not complete"
    if (fenced := _FENCED_JSON.findall(text)) and not all(map(_is_json, fenced)):
        return "a block of JSON is not complete"
    return _list_open(text, asked) or _sentence_open(text)


def _is_json(text: str) -> bool:
    try:
        msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def _list_open(text: str, asked: str) -> str | None:
    if _EMPTY_ITEM.search(text):
        return "an item of a list is empty"
    for wanted, start in _announced(text, asked):
        numbers = [int(found[1]) for found in _NUMBERED.finditer(text, start)]
        bullets = len(_BULLET.findall(text, start))
        if 0 < max(numbers, default=0) < wanted or (not numbers and 0 < bullets < wanted):
            return f"a list of {wanted} has only {max(numbers, default=bullets)}"
    return _counting_open(text, asked)


def _announced(text: str, asked: str) -> list[tuple[int, int]]:
    """How many items were promised, and where the list begins."""
    found = [(_value(match["count"]), match.end()) for match in _ANNOUNCED.finditer(text)]
    found += [(_value(match["count"]), 0) for match in _ASKED.finditer(asked)]
    return [(count, start) for count, start in found if 2 <= count <= 200]


def _counting_open(text: str, asked: str) -> str | None:
    """Numbers in a row that were to go further."""
    wanted = max((int(found[1]) for found in _TO.finditer(asked)), default=0)
    numbers = [int(found) for found in re.findall(r"\d{1,6}", text[-200:])][-6:]
    in_a_row = len(numbers) >= 4 and all(b - a == 1 for a, b in itertools.pairwise(numbers))
    return f"it counts to {numbers[-1]} of {wanted}" if in_a_row and numbers[-1] < wanted else None


def _value(count: str) -> int:
    return int(count) if count.isdigit() else _NUMBERS[count.lower()]


def _sentence_open(text: str) -> str | None:
    paragraph = text.rpartition("\n\n")[2]
    for begin, end in _PAIRS:
        if paragraph.count(begin) > paragraph.count(end) and not re.search(r"[:;]-?[(\[]", paragraph):
            return f"a '{begin}' is open"
    if not text or text[-1] in ",;:-–—(/&+=<، 、：；":
        return MID_SENTENCE
    last = words(text[-80:])[-1:]
    if text[-1].isalpha() and last and last[0] in FUNCTION_WORDS:
        return MID_SENTENCE
    line = text.rpartition("\n")[2]
    if mid_sentence(text) and not _LINE_WITHOUT_END.match(line) and _ends_sentences(text):
        return MID_SENTENCE
    return None


def _ends_sentences(text: str) -> bool:
    """Whether this text is one that ends its sentences: some are written without a full stop throughout."""
    return (
        sum(text.count(f"{mark} ") + text.count(f"{mark}\n") for mark in ".!?")
        + sum(map(text.count, "。！？؟।"))
        > 0
    )
