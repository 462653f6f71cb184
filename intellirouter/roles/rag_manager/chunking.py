"""Blocks of a document to chunks that fit the embedder.

A chunk never crosses a heading or page. Prose is cut at the ends of sentences, as every script marks them; code and tables
stay whole where they fit and are else cut at lines, and each part of a table's row, or of a table, begins with what says
which it is. Neighbouring chunks share whole sentences up to `overlap` characters. A chunk holds at most `size` characters and
`max_tokens` tokens of the embedder.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

VERSION = "2"
"""Part of every chunk's id: raise it when the same text would be cut differently."""

CountTokens = Callable[[Sequence[str]], list[int]]

_PARAGRAPH = re.compile(r"\n\s*\n")
_SENTENCE = re.compile(
    r"(?<=[.!?…])\s+|(?<=[.!?…][\"'”’»)\]])\s+|\n"
    r"|(?<=[。！？｡．؟۔।॥։።፧፨။៕៖᙮᠃᠉꓿‽])(?![。！？」』）】”’\"')])\s*|(?<=[。！？｡][」』）】”’\"')])(?![\u3041-\u3096])\s*"
)
"""Where a sentence ends. Scripts that write no spaces have none behind their full stops either."""
_CLAUSE = re.compile(r"[\s、，,;；：:·،؛]")
_FIELD = "; "


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of a parsed document. `kind` is `text`, `code` or `table`; `location` a heading path or page.

    `head` goes before each further part of a block that is cut; `row` is the number of a table's row, 0 for what is none.
    """

    text: str
    location: str = ""
    kind: str = "text"
    head: str = ""
    row: int = 0

    def under(self, place: str) -> Block:
        """The same within a document that holds it."""
        return replace(
            self, location=f"{place} › {self.location}".removesuffix(" › ") if place else self.location
        )


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
    tokens: int = 0
    head: str = ""
    row: int = 0


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
            counts = self.count([piece.text for piece in pieces]) if pieces else []
            atoms = [
                atom
                for piece, tokens in zip(pieces, counts, strict=True)
                for atom in self._fitted(replace(piece, tokens=tokens))
            ]
            chunks.extend(self._packed(atoms, location))
        return chunks

    def _pieces(self, block: Block) -> Iterator[_Atom]:
        """Texts of at most `size` characters, each with what joins it to the one before."""
        text = block.text.strip()
        if not text:
            return
        if block.kind == "text":
            for paragraph in _PARAGRAPH.split(text):
                glue = "\n\n"
                for sentence, following in _sentences(paragraph.strip()):
                    for part, between in _wrapped(sentence, self.size):
                        yield _Atom(part, glue)
                        glue = between
                    glue = following
            return
        head = block.head if len(block.head) * 2 < self.size else ""
        between = "\n" if block.row else "\n\n"
        if len(text) <= self.size:
            yield _Atom(text, between, head=head, row=block.row)
            return
        glue = between
        for number, line in enumerate(text.splitlines()):
            again = head if number or block.row else ""  # what a row begins with, each of its parts does
            for place, part in enumerate(_cut(line, self.size - len(head))):
                yield _Atom(
                    f"{again}{part}" if place or (number and head) else part, glue, head=head, row=block.row
                )
                glue = "\n"

    def _fitted(self, atom: _Atom) -> list[_Atom]:
        """The atom, halved until its tokens fit."""
        if atom.tokens <= self.max_tokens or len(atom.text) < 2:
            return [atom]
        text = atom.text
        head = atom.head if self.count([atom.head])[0] * 2 < self.max_tokens else ""
        start = len(head) if head and text.startswith(head) else 0
        middle = start + (len(text) - start) // 2
        if head and (cut := text.rfind(_FIELD, start + 1, middle)) > 0:
            cut += len(_FIELD)
        else:
            cut = text.rfind(" ", start + 1, middle) + 1 or _between_signs(text, max(middle, 1))
        halves = text[:cut].rstrip(), text[cut:].lstrip()
        whole = halves[0], head + halves[1] if halves[1] else ""
        glues = (atom.glue, "\n" if head else " " if text[cut - 1] == " " else "")
        if len(whole[1]) >= len(text):  # the head alone is in the way
            return self._fitted(replace(atom, head=""))
        counts = self.count(whole)
        return [
            part
            for text, glue, tokens in zip(whole, glues, counts, strict=True)
            if text
            for part in self._fitted(_Atom(text, glue, tokens, head, atom.row))
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
    rows = [atom.row for atom in atoms if atom.row]
    if rows:
        span = f"row {rows[0]}" if rows[0] == rows[-1] else f"rows {rows[0]}–{rows[-1]}"
        location = f"{location}, {span}" if location else span
    return Chunk(text, location, sum(atom.tokens for atom in atoms))


def _sentences(paragraph: str) -> Iterator[tuple[str, str]]:
    """Each sentence, and what joins the next one to it: a space, unless the script writes none."""
    start = 0
    for end in _SENTENCE.finditer(paragraph):
        if sentence := paragraph[start : end.start()].strip():
            yield sentence, " " if end[0] else ""
        start = end.end()
    if sentence := paragraph[start:].strip():
        yield sentence, " "


def _wrapped(sentence: str, size: int) -> Iterator[tuple[str, str]]:
    """The sentence in parts of at most `size` characters, each with what joins the next one to it.

    It is cut between words, else behind a clause, else between two signs.
    """
    while len(sentence) > size:
        cut = sentence.rfind(" ", 1, size + 1)
        if cut > 0:
            yield sentence[:cut].rstrip(), " "
        else:
            clauses = [found.end() for found in _CLAUSE.finditer(sentence, size // 2, size)]
            cut = clauses[-1] if clauses else _between_signs(sentence, size)
            yield sentence[:cut], ""
        sentence = sentence[cut:].lstrip()
    if sentence:
        yield sentence, " "


def _cut(line: str, size: int) -> Iterator[str]:
    """A line in parts of at most `size` characters, between fields where it has them."""
    while len(line) > size:
        cut = line.rfind(_FIELD, 1, size) + len(_FIELD)
        if cut <= len(_FIELD):
            cut = line.rfind(" ", size // 2, size) + 1 or _between_signs(line, size)
        yield line[:cut].rstrip()
        line = line[cut:]
    if line:
        yield line


def _between_signs(text: str, cut: int) -> int:
    """The place, or the nearest before it that parts no letter from its marks."""
    place = cut
    while place > max(1, cut - 10) and unicodedata.category(text[place : place + 1] or "a").startswith("M"):
        place -= 1
    return place
