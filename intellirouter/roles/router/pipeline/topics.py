"""Whether a text names a topic: whole words, however they are spelled.

Text and topic are folded alike: compatibility forms (NFKC) and case, no invisible characters and accents, letters of other
scripts that look Latin as the Latin ones (after Unicode's confusables, UTS 39), single letters in a row (`w a r`, `w-a-r`) as one
word. Scripts that write without spaces have no words to compare; a topic in one is looked for as it stands. Everything is
linear in the text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache

from intellirouter.guards.folding import ALIKE, INVISIBLE

_FOLDS: dict[int, str | None] = {
    **{
        ord(letter): latin for letters, latins in ALIKE for letter, latin in zip(letters, latins, strict=True)
    },
    **dict.fromkeys(map(ord, INVISIBLE)),
    ord("_"): " ",
}
_WORD = re.compile(r"[^\W_]+")
_RAW_WORD = re.compile(f"(?:[^\\W_]|[{re.escape(INVISIBLE)}])+")
_SPELLED = re.compile(r"(?:(?<= )\S ){2,}")
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")
_PIECE = 50_000
"""Characters that are folded in one go: some milliseconds."""
_SLACK = 64
"""Characters that a word may be longer than every topic and still be one, spelled with invisible ones."""


def folded(text: str) -> str:
    """The words of the text, spelled the plain way, with one space around each."""
    if text.isascii():
        plain = text.lower().replace("_", " ")
    else:
        plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold())
        plain = unicodedata.normalize("NFC", plain.translate(_FOLDS))
    words = f" {' '.join(_WORD.findall(plain))} "
    return _SPELLED.sub(lambda found: f"{found[0].replace(' ', '')} {found[0]}", words)


class Topics:
    """Topics, folded once."""

    def __init__(self, topics: Sequence[str]) -> None:
        kept = [made for made in map(folded, topics) if made.strip()]
        spaced = [made for made in kept if not _UNSPACED.search(made)]
        joined = [f" {made.replace(' ', '')} " for made in spaced]  # how `p o k e r  n i g h t` comes out
        self.words = tuple(dict.fromkeys((*spaced, *joined)))
        self.parts = tuple(dict.fromkeys(made.replace(" ", "") for made in kept if _UNSPACED.search(made)))
        self.most_words = max((made.count(" ") - 1 for made in self.words), default=1)
        self.longest = max(map(len, (*self.words, *self.parts)), default=0)

    def __bool__(self) -> bool:
        return bool(self.words or self.parts)

    def named_in(self, text: str) -> bool:
        """Whether the text names one of them."""
        if not self or not text:
            return False
        return any(self._named(piece) for piece in _pieces(text, 4 * self.longest + _SLACK))

    def _named(self, text: str) -> bool:
        words = folded(text)
        return any(topic in words for topic in self.words) or self._part_in(words)

    def part_in(self, text: str) -> bool:
        """Whether the text names one that is written without spaces, at its unfinished end too."""
        return bool(self.parts) and self._part_in(folded(text))

    def _part_in(self, words: str) -> bool:
        joined = words.replace(" ", "") if self.parts else ""
        return any(part in joined for part in self.parts)


def _pieces(text: str, overlap: int) -> Iterator[str]:
    """The text in pieces that overlap, and end between words where they can."""
    start = 0
    while len(text) - start > _PIECE:
        middle, end = start + _PIECE // 2, start + _PIECE
        end = max(text.rfind(" ", middle, end), text.rfind("\n", middle, end), middle) + 1
        yield text[start:end]
        back = text.find(" ", max(start + 1, end - overlap), end)
        start = back if back > 0 else end
    yield text[start:]


@lru_cache(maxsize=64)
def topics_of(topics: tuple[str, ...]) -> Topics:
    """The topics, folded once for all requests."""
    return Topics(topics)


class TopicStream:
    """A text in pieces. What could still become a topic, or is part of an unfinished word, is held back."""

    def __init__(self, topics: Topics) -> None:
        self._topics = topics
        self._limit = 4 * topics.longest + _SLACK
        self._inside = False  # what is held begins in the middle of a word
        self.held = ""

    def feed(self, text: str) -> tuple[str, bool]:
        """What may go out now, and whether a topic was named; then nothing more may."""
        self.held += text
        spans = [found.span() for found in _RAW_WORD.finditer(self.held)]
        whole = spans[:-1] if spans and spans[-1][1] == len(self.held) else spans
        end = whole[-1][1] if whole else 0
        if self._named(self.held[:end]) or self._topics.part_in(self.held):
            return "", True
        return self._released(spans, len(whole)), False

    def rest(self) -> tuple[str, bool]:
        """The end of the text: what was held back, and whether it names a topic."""
        text, self.held = self.held, ""
        return text, self._named_in_all(text)

    def _named_in_all(self, text: str) -> bool:
        return self._topics.named_in(f"x{text}" if self._inside else text)

    def _named(self, text: str) -> bool:
        return bool(text) and self._named_in_all(text)

    def _released(self, spans: list[tuple[int, int]], whole: int) -> str:
        start = spans[whole][0] if whole < len(spans) else len(self.held)
        if len(self.held) - start > self._limit:  # no topic is so long: only its end is looked at further
            return self._cut(len(self.held) - self._topics.longest, inside=True)
        kept = 0
        for first, last in reversed(spans[:whole]):
            letter = last - first == 1 and kept < self._topics.longest
            if last - first > self._limit or not (letter or kept < self._topics.most_words - 1):
                break
            start, kept = first, kept + 1
        return self._cut(start, inside=self._inside and start == 0)

    def _cut(self, at: int, *, inside: bool) -> str:
        ready, self.held, self._inside = self.held[:at], self.held[at:], inside
        return ready
