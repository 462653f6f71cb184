"""Blocks of a document to chunks that fit the embedder.

A chunk never crosses a heading or page. Prose is cut at sentences, code and tables stay whole where they fit and are
else cut at lines. Neighbouring chunks share whole sentences up to `overlap` characters. A chunk holds at most `size`
characters and `max_tokens` tokens of the embedder.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

VERSION = "1"
"""Part of every chunk's id: raise it when the same text would be cut differently."""

CountTokens = Callable[[Sequence[str]], list[int]]

_PARAGRAPH = re.compile(r"\n\s*\n")
_SENTENCE = re.compile(r"(?<=[.!?。！？])\s+|\n")


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of a parsed document. `kind` is `text`, `code` or `table`; `location` a heading path or page."""

    text: str
    location: str = ""
    kind: str = "text"


@dataclass(frozen=True, slots=True)
class Chunk:
    """What is embedded and cited."""

    text: str
    location: str
    tokens: int


@dataclass(frozen=True, slots=True)
class _Atom:
    text: str
    glue: str
    tokens: int


@dataclass(frozen=True, slots=True)
class Chunker:
    """Cuts by `size` and `overlap` in characters, and by `max_tokens` as `count` counts them."""

    size: int
    overlap: int
    max_tokens: int
    count: CountTokens

    def cut(self, blocks: Sequence[Block]) -> list[Chunk]:
        """The chunks, in reading order."""
        chunks: list[Chunk] = []
        for location, group in groupby(blocks, key=lambda block: block.location):
            pieces = [piece for block in group for piece in self._pieces(block)]
            counts = self.count([text for text, _ in pieces]) if pieces else []
            atoms = [
                atom
                for (text, glue), tokens in zip(pieces, counts, strict=True)
                for atom in self._fitted(_Atom(text, glue, tokens))
            ]
            chunks.extend(self._packed(atoms, location))
        return chunks

    def _pieces(self, block: Block) -> Iterator[tuple[str, str]]:
        """Texts of at most `size` characters, each with what joins it to the one before."""
        text = block.text.strip()
        if not text:
            return
        if block.kind != "text":
            if len(text) <= self.size:
                yield text, "\n\n"
                return
            glue = "\n\n"
            for line in text.splitlines():
                for start in range(0, len(line), self.size):
                    yield line[start : start + self.size], glue
                    glue = "\n"
            return
        for paragraph in _PARAGRAPH.split(text):
            glue = "\n\n"
            for sentence in _SENTENCE.split(paragraph.strip()):
                for part in _wrapped(sentence.strip(), self.size):
                    yield part, glue
                    glue = " "

    def _fitted(self, atom: _Atom) -> list[_Atom]:
        """The atom, halved until its tokens fit."""
        if atom.tokens <= self.max_tokens or len(atom.text) < 2:
            return [atom]
        middle = len(atom.text) // 2
        cut = atom.text.rfind(" ", 1, middle) + 1 or middle
        halves = atom.text[:cut].rstrip(), atom.text[cut:].lstrip()
        counts = self.count(halves)
        glues = (atom.glue, " " if atom.text[cut - 1] == " " else "")
        return [
            part
            for text, glue, tokens in zip(halves, glues, counts, strict=True)
            if text
            for part in self._fitted(_Atom(text, glue, tokens))
        ]

    def _packed(self, atoms: Sequence[_Atom], location: str) -> Iterator[Chunk]:
        held: list[_Atom] = []
        fresh = 0  # atoms of `held` that no chunk has had yet
        for atom in atoms:
            if fresh and not self._fits(held, atom):
                yield _joined(held, location)
                held, fresh = self._tail(held, atom), 0
            held.append(atom)
            fresh += 1
        if fresh:
            yield _joined(held, location)

    def _fits(self, held: Sequence[_Atom], atom: _Atom) -> bool:
        characters = sum(len(item.text) + len(item.glue) for item in (*held, atom))
        return characters <= self.size and sum(item.tokens for item in (*held, atom)) <= self.max_tokens

    def _tail(self, held: Sequence[_Atom], following: _Atom) -> list[_Atom]:
        """The last atoms within the overlap that leave room for what follows."""
        kept: list[_Atom] = []
        for atom in reversed(held):
            longer = [atom, *kept]
            if sum(len(item.text) + 1 for item in longer) > self.overlap or not self._fits(longer, following):
                break
            kept = longer
        return kept


def _joined(atoms: Sequence[_Atom], location: str) -> Chunk:
    text = atoms[0].text + "".join(atom.glue + atom.text for atom in atoms[1:])
    return Chunk(text, location, sum(atom.tokens for atom in atoms))


def _wrapped(sentence: str, size: int) -> Iterator[str]:
    """The sentence, cut between words (or inside one that is too long) to at most `size` characters."""
    while len(sentence) > size:
        cut = sentence.rfind(" ", 1, size + 1)
        cut = size if cut <= 0 else cut
        yield sentence[:cut].rstrip()
        sentence = sentence[cut:].lstrip()
    if sentence:
        yield sentence
