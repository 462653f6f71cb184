"""Keywords: words and phrases of the operator, whole and however they are spelled. Ten thousand cost what ten cost (Aho-Corasick)."""

from __future__ import annotations

import importlib
import re
from typing import Any

from intellirouter.guards.finding import LONGEST, Finding
from intellirouter.guards.folding import INVISIBLE, Folded, folded, parted, spaced
from intellirouter.guards.scan import Scan

KEYWORD = "keyword"
_LEAST_JOINED = 6
"""Characters of words together that may be written as one."""
_BETWEEN = re.compile(r"[\W_]+")
_SIGN = re.compile(r"[^\w\s-]")
_SEEN = re.compile(f"(?:[^\\W_]|[{re.escape(INVISIBLE)}])+")
_SPELLED = re.compile(r"(?<!\w)(?:[^\W_][\W_]{1,2}){2,200}[^\W_](?!\w)")
_APART_GATE = "letters apart"
GATES = {
    _APART_GATE: r"(?:[a-z0-9\x{80}-\x{10ffff}][^a-z0-9]{1,2}){2}[a-z0-9\x{80}-\x{10ffff}](?:[^a-z0-9]|$)"
}
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")


class Keywords:
    """See `Detector`. Words are compared folded; one of a script that writes without spaces is looked for inside words too."""

    longest = LONGEST
    as_written = False
    kinds: tuple[str, ...] = (KEYWORD,)

    def __init__(self, words: tuple[str, ...], kind: str = KEYWORD) -> None:
        self.kinds = (kind,)
        made = {spaced(folded(word)).text.strip() for word in words} - {""}
        plain = {word for word in made if _of_words(word)}
        apart = {_BETWEEN.sub(" ", word) for word in plain}
        made |= apart | {word.replace(" ", "") for word in apart if len(word) > _LEAST_JOINED}
        self._longest = max(map(len, made), default=0)
        self._most_words = max((len(_BETWEEN.split(word)) for word in made), default=1)
        self._unspaced = max((len(word) for word in made if _UNSPACED.search(word)), default=0)
        self._joined = frozenset(re.sub(r"[\W_]", "", word) for word in made)
        self._parted = _automaton({word for word in made if _BETWEEN.sub(" ", word).strip() == word})
        self._signed = _automaton({word for word in made - plain if _BETWEEN.sub(" ", word).strip() != word})

    def find(self, scan: Scan) -> list[Finding]:
        """See `Detector.find`."""
        if not self._longest:
            return []
        plain = parted(scan.folded)
        found = self._whole(plain, self._parted)
        if self._signed is not None:
            found += self._whole(spaced(scan.folded), self._signed)
        for spelled in _SPELLED.finditer(plain.text) if scan.may(_APART_GATE) else ():
            if self._holds(re.sub(r"[\W_]", "", spelled[0])):
                found.append(Finding(*plain.span(*spelled.span()), self.kinds[0]))
        return found

    def _whole(self, plain: Folded, words: Any) -> list[Finding]:
        text, found = plain.text, []
        for last, (length, inside) in words.iter(text) if words is not None else ():
            start = last - length + 1
            if inside or not (_in_word(text, start - 1, start) or _in_word(text, last, last + 1)):
                found.append(Finding(*plain.span(start, last + 1), self.kinds[0]))
        return found

    def _holds(self, letters: str) -> bool:
        """Whether one of the words is among letters that were written apart."""
        longest = min(self._longest, len(letters))
        return any(
            letters[start:end] in self._joined
            for start in range(min(len(letters), 200))
            for end in range(start + 3, min(start + longest, len(letters)) + 1)
        )

    def open_at(self, text: str) -> int:
        """See `Detector.open_at`."""
        if not self._longest:
            return len(text)
        least = max(0, len(text) - 3 * self._longest)
        seen = list(_SEEN.finditer(text, least))
        unfinished = bool(seen) and seen[-1].end() == len(text)
        left = self._most_words if unfinished else self._most_words - 1
        start = len(text)
        for word in reversed(seen):
            letter = word.end() - word.start() == 1  # of a word that is written apart
            if left <= 0 and not letter:
                break
            start, left = word.start(), left - (not letter)
        return max(least, min(start, len(text) - self._unspaced))


def _of_words(word: str) -> bool:
    """Whether the signs of a keyword only stand between its words, and are no part of it as in `C++` or `a/b`."""
    words = _BETWEEN.split(word)
    return all(words) and (not _SIGN.search(word) or all(len(one) > 1 for one in words))


def _automaton(words: set[str]) -> Any:
    """What finds these, each with its length and whether it is looked for inside words; None for none."""
    if not words:
        return None
    made: Any = importlib.import_module("ahocorasick").Automaton()
    for word in words:
        made.add_word(word, (len(word), _UNSPACED.search(word) is not None))
    made.make_automaton()
    return made


def _in_word(text: str, before: int, after: int) -> bool:
    """Whether two neighbouring characters are of one word."""
    return before >= 0 and after < len(text) and text[before].isalnum() and text[after].isalnum()
