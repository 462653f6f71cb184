"""Chunks fit, lose nothing, overlap by sentences and keep to their section."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from intellirouter.roles.rag_manager.chunking import Block, Chunker


def words(texts: Sequence[str]) -> list[int]:
    return [len(text.split()) for text in texts]


def chunker(size: int = 100, overlap: int = 30, max_tokens: int = 40) -> Chunker:
    return Chunker(size, overlap, max_tokens, words)


@given(
    st.lists(
        st.builds(Block, st.text(max_size=500), st.sampled_from(["", "a"]), st.sampled_from(["text", "code"]))
    ),
    st.integers(20, 120),
    st.integers(3, 40),
)
def test_every_chunk_fits_and_no_word_is_lost(blocks: list[Block], size: int, max_tokens: int) -> None:
    chunks = Chunker(size, 0, max_tokens, words).cut(blocks)
    assert all(len(chunk.text) <= size for chunk in chunks)
    assert all(chunk.tokens <= max_tokens for chunk in chunks)
    cut = "".join(chunk.text for chunk in chunks)
    assert "".join(cut.split()) == "".join("".join(block.text for block in blocks).split())


def test_neighbours_share_whole_sentences() -> None:
    text = " ".join(f"This is sentence {number}." for number in range(12))
    chunks = chunker().cut([Block(text)])
    assert len(chunks) > 2
    for before, after in pairwise(chunks):
        assert before.text.endswith(after.text.split(". ")[0] + ".")


def test_a_chunk_keeps_to_its_section_and_code_stays_whole() -> None:
    code = "```\nx = 1\n\ny = 2\n```"
    chunks = chunker().cut([Block("Intro.", "A"), Block(code, "A", "code"), Block("Other.", "B")])
    assert [(chunk.location, chunk.text) for chunk in chunks] == [("A", f"Intro.\n\n{code}"), ("B", "Other.")]
