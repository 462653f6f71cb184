"""A word or several in a row, as an index of words is asked for them. Pure functions."""

from __future__ import annotations

from typing import NamedTuple

NEAR = 8
"""Neighbouring words of a query that stand within so many of one another in a chunk count once more, as a term of their own.
Metzler and Croft 2005, "A Markov random field model for term dependencies", unordered window."""


class Phrase(NamedTuple):
    """`words` as the index's tokenizer is given them, without quotes; with `begins`, whatever begins so; in one `column`, or any."""

    words: str
    begins: bool = False
    column: str = ""

    @property
    def match(self) -> str:
        """The same as FTS5 is asked."""
        column = f"{self.column} : " if self.column else ""
        return f'{column}"{self.words}"{" *" if self.begins else ""}'


class Asked(NamedTuple):
    """What an index is asked for a query: any of `phrases`; `pairs` of them that stand near one another count more."""

    phrases: tuple[Phrase, ...]
    pairs: tuple[tuple[Phrase, Phrase], ...] = ()

    @property
    def match(self) -> str:
        """The same as FTS5 is asked."""
        near = (f"NEAR({one.match} {two.match}, {NEAR})" for one, two in self.pairs)
        return " OR ".join([*(phrase.match for phrase in self.phrases), *near])
