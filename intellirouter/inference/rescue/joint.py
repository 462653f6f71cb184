"""The place where two parts of an answer meet.

A model asked to go on from a character seldom writes the blank, or the line's end, that would come first: chat models are
made to begin with a letter. What stands on both sides says what is missing: nothing inside a word, a number, a script
without spaces; a blank between words; a new line between items and statements.
"""

from __future__ import annotations

import re

from intellirouter.inference.rescue.scripts import (
    FUNCTION_WORDS,
    SENTENCE_ENDS,
    SPACELESS,
    open_fence,
    place_of,
    words,
)

_ENDINGS = frozenset(
    "s es ed ing er ers est ly able ably ible ibly al ally tion tions sion sions ation ations ment ments ness less ful fully "
    "ity ities ive ively ous ously ize izes ized ise ised ization ist ists ism ical ically ance ances ence ences ant ent "
    "ary ory ure ures ter ters ted ting ting's ble bles ral nal tial cial en ens te tes ur ung ungen keit heit lich lichen "
    "isch ischen ement ements eur eurs euse ité ités ción ciones mente dad dades zione zioni mento".split()
)
"""What ends words and is seldom one."""
_KEYWORDS = frozenset(
    "return def class import from if elif else for while in not and or is as with try except finally raise yield lambda "
    "pass async await let const var new function public private protected static void int float double char bool string "
    "package func type struct interface enum case switch default throw throws extends implements using namespace end "
    "then do begin select where insert update delete create table join on group order by values into set".split()
)
_PARTICLES = re.compile(
    r"^(은|는|이|가|을|를|에|의|로|와|과|도|만|에서|으로|에게|까지|부터|입니다|합니다|하는|했)"
)
_ITEM = re.compile(r"^(?:[-*+•]|\d{1,3}[.)])\s")
_ITEMS = re.compile(r"^[ \t]*(?:[-*+•]|\d{1,3}[.)])\s", re.MULTILINE)
_CLOSING = ".,;:!?)]}%’”»…"
_OPENING = "([{“«‘¿¡"
_NUMBERED = re.compile(r"([^\W\d]*)(\d{1,9})$")
_NUMBER = re.compile(r"([^\W\d]*)(\d{1,9})(?!\d)")
_LETTERS_BEFORE, _LETTERS = re.compile(r"[^\W\d_]+$"), re.compile(r"[^\W\d_]+")
_AGAIN = re.compile(r"^\s*```\w+[^\n`]*\n")
"""A fence that is open already."""
_DOTS = re.compile(r"^\s*(?:\.{3,}|…)\s*(?=\w)")
_ORDINALS = frozenset({"st", "nd", "rd", "th", "er", "ème", "º", "ª"})
_LOOKED_AT = 20_000
"""Characters of the text before that words are looked up in."""


def joint(said: str, more: str) -> tuple[str, str]:
    """What belongs between the two, and what of `more` follows it: all, but a beginning that stands there already."""
    if not said or not more:
        return "", more
    more = _AGAIN.sub("", more) if open_fence(said) >= 0 else _DOTS.sub("", more)
    if said[-1].isspace():
        return "", more.lstrip(" ") if said[-1] == " " else more
    if more[0].isspace():
        return "", more
    match place_of(said):
        case "json":
            return "", more
        case "json string":
            string = said[said.rfind('"') + 1 :]
            return _prose(string, more) if " " in string.strip() else ("", more)
        case "code":
            return _code(said[open_fence(said) :], more)
        case _:
            return _prose(said, more)


def _prose(said: str, more: str) -> tuple[str, str]:
    last, first = said[-1], more[0]
    if (glue := _lines(said, more)) is not None:
        return glue, more
    if SPACELESS.match(last) or SPACELESS.match(first):
        return "", more
    if first in _CLOSING or last in _OPENING or last in "-/\\_@#$~" or first in "-/\\_":
        return ("", more) if first != "-" or not more.startswith("- ") else (" ", more)
    if first in "'’" or last in "'’":
        return ("", more) if more[1:2].isalpha() or last != first else (" ", more)
    for mark in ('"', "*", "`"):  # after an odd number of them, the next one closes
        if last == mark:
            return ("" if said.count(mark) % 2 else " "), more
        if first == mark:
            return ("" if said.count(mark) % 2 else " "), more
    if not last.isalnum():
        return _after_a_mark(said, more), more
    if not first.isalnum():
        return " ", more
    return _between_letters(said, more)


def _lines(said: str, more: str) -> str | None:
    """A new item, heading, fence or row of a table begins a line."""
    line = said.rpartition("\n")[2].strip()
    if more.startswith("```"):
        return "\n"
    if _ITEM.match(more) and _ITEMS.search(said) and not _ITEM.fullmatch(f"{line} "):
        return "\n"
    if re.match(r"#{1,6} ", more):
        return "\n\n"
    return "\n" if more.startswith("|") and line.startswith("|") and line.endswith("|") else None


def _after_a_mark(said: str, more: str) -> str:
    """After punctuation: a blank, but not inside numbers, times, addresses and abbreviations."""
    last, first = said[-1], more[0]
    token = re.split(r"\s", said[-200:])[-1]
    if first.isdigit() and len(said) > 1 and said[-2].isdigit() and last in ".,:":
        return "" if last != "," or re.match(r"\d{3}(?!\d)", more) else " "
    if last in ".:" and ("://" in token or "www." in token or "@" in token or token.count(".") > 1):
        return "" if first.islower() or first.isdigit() else " "
    if last in SENTENCE_ENDS + ",;:)]}”»%" or not first.isalnum():
        return " "
    return ""


def _between_letters(said: str, more: str) -> tuple[str, str]:
    """Both sides are letters or digits: one word or two?"""
    before, after = _NUMBERED.search(said[-40:]), _NUMBER.match(more)
    if before and after and before[1] == after[1]:
        counting = before[1] or re.search(rf"(?<!\d){int(before[2]) - 1}\D{{1,3}}{before[2]}$", said[-40:])
        return (" " if counting and int(after[2]) == int(before[2]) + 1 else ""), more
    last, first = said[-1], more[0]
    left, right = _LETTERS_BEFORE.search(said[-80:]), _LETTERS.match(more)
    if left is None or right is None:
        if last.isdigit() and first.isdigit():
            return "", more
        if last.isdigit():
            return ("" if right is not None and right[0].lower() in _ORDINALS else " "), more
        stem = _LETTERS_BEFORE.search(said[-80:])
        numbered = stem is not None and re.search(rf"(?<![^\W\d_]){re.escape(stem[0])}\d", said[:-1])
        return ("" if numbered else " "), more
    return _between_words(said, more, left[0], right[0])


def _between_words(said: str, more: str, left: str, right: str) -> tuple[str, str]:
    earlier = said[-_LOOKED_AT : len(said) - len(left)]
    known = {word.rstrip("0123456789") for word in (*words(earlier), *words(more[len(right) :]))}
    begin, end = left.lower(), right.lower()
    if begin + end in known or re.match(r"n['’]t\b", more):
        return "", more
    complete = begin in known or begin in FUNCTION_WORDS
    if not complete and len(begin) > 1 and end.startswith(begin) and end != begin:
        return "", more[len(left) :]  # the word that was cut, written anew
    if "가" <= more[0] <= "힣":
        return (
            "" if (_PARTICLES.match(right) and complete) or (not complete and end not in known) else " "
        ), more
    if end in _ENDINGS and begin not in FUNCTION_WORDS:
        return "", more
    if complete or end in known or end in FUNCTION_WORDS or right[0].isupper():
        return " ", more
    return ("" if len(begin) < 3 else " "), more


def _code(said: str, more: str) -> tuple[str, str]:
    last, line = said[-1], said.rpartition("\n")[2]
    if re.search(r"(?:^|\s)(#|//|--) ", line):  # a comment is prose
        return _prose(line, more)
    indent = line[: len(line) - len(line.lstrip())]
    starts = more[0].isalpha() or more[0] in "_@#"
    if more.startswith(("```", "}", "~~~")):
        return "\n", more
    if starts and last in "{:" and not line.strip().startswith(('"', "'")):
        return f"\n{indent}    ", more
    if starts and last in ";})":
        return f"\n{indent}", more
    if last.isalnum() and more[0].isalnum():
        left = _LETTERS_BEFORE.search(said)
        return (" " if left is not None and left[0] in _KEYWORDS else ""), more
    return "", more
