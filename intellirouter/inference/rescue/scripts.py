"""What the joints and judgements need to know of writing: words, sentences, scripts without spaces, code and JSON."""

from __future__ import annotations

import re
from typing import Literal

WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
SPACELESS = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3000-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff00-\uffef"
    "\U00020000-\U0003ffff]"
)
"""Thai, Lao, Burmese, Khmer, kana, ideographs and their punctuation: no blank between words."""
SENTENCE_ENDS = ".!?…。！？؟।۔｡"
FUNCTION_WORDS = frozenset(
    "a an the and or but nor so if of to in on at by for from with without into onto over under than then as is are was "
    "were be been being am has have had do does did will would shall should can could may might must not no this that "
    "these those its his her their our your my it he she they we you i me him them us which who whom whose what when "
    "where while because although such each every some any all both more most very too also only just about between "
    "through during before after above below up down out off per via "
    "der die das den dem des ein eine einen einem einer und oder aber mit von zu im ist sind war nicht auf für als wie "
    "le la les un une des et ou mais de du au aux en dans sur pour par est sont que qui ne pas "
    "el los las una uno y o pero del al con por es son se su lo "
    "il lo gli e ed ma di da nel nella con su per che non "
    "os uma dos das em no na".split()
)
"""After most of them a sentence goes on."""
FENCE = re.compile(r"^[ \t]{0,3}(`{3,}|~{3,})[^\n`]*$", re.MULTILINE)

Place = Literal["prose", "code", "json string", "json"]


def open_fence(text: str) -> int:
    """Where the code that is still open begins, after its fence's line; -1 where none is."""
    opened, marker = -1, ""
    for match in FENCE.finditer(text):
        if opened < 0:
            opened, marker = min(match.end() + 1, len(text)), match[1][0]
        elif match[1][0] == marker:
            opened = -1
    return opened


def place_of(text: str) -> Place:
    """What is being written where `text` ends."""
    start = open_fence(text)
    inside = text[start:] if start >= 0 else text
    if inside.lstrip()[:1] in ("{", "[") and (start < 0 or '"' in inside or ":" in inside):
        depth, string = json_state(inside)
        if depth > 0:
            return "json string" if string else "json"
    return "code" if start >= 0 else "prose"


def json_state(text: str) -> tuple[int, bool]:
    """How many brackets are open at the end of a JSON text, and whether a string is."""
    depth, string, escaped = 0, False, False
    for character in text:
        if string:
            if escaped:
                escaped = False
            elif character == "\\":
                escaped = True
            elif character == '"':
                string = False
        elif character == '"':
            string = True
        elif character in "{[":
            depth += 1
        elif character in "}]":
            depth -= 1
    return depth, string


def words(text: str) -> list[str]:
    """Its words, in lower case."""
    return [match[0].lower() for match in WORD.finditer(text)]


def mid_sentence(text: str) -> bool:
    """Whether a sentence is under way where `text` ends."""
    tail = text.rstrip().rstrip("\"'”’»)*_`]")
    return bool(tail) and tail[-1] not in SENTENCE_ENDS + ":"


def in_quotes(text: str) -> bool:
    """Whether somebody is speaking where `text` ends."""
    paragraph = text.rpartition("\n\n")[2]
    return paragraph.count('"') % 2 == 1 or paragraph.count("“") > paragraph.count("”")
