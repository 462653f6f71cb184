"""Chunks fit, lose nothing, overlap by sentences and keep to their section."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

import pytest
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


@pytest.mark.parametrize(
    ("text", "ends"),
    [
        ("水壶保修三年。退货三十天！可以吗？", ["。", "！", "？"]),
        ("「はい。」彼は行った。", ["」", "。"]),
        ("کیا یہ ہے؟ ہاں۔ نہیں۔", ["؟", "۔", "۔"]),
        ("यह एक है। यह दो है। तीन॥", ["।", "।", "॥"]),
        ("ይህ አንድ ነው። ይህ ሁለት ነው።", ["።", "።"]),
        ("Դա մեկ է։ Դա երկու է։", ["։", "։"]),
        ("One. Two! Three?", [".", "!", "?"]),
        ("He said “no.” She left.", ["”", "."]),
    ],
)
def test_sentences_end_as_the_script_ends_them(text: str, ends: list[str]) -> None:
    longest = max(
        len(part) for part in re.split(r"(?<=[。！？؟۔।॥።։!?])(?!」)|(?<=」)|(?<=\. )|(?<=” )", text)
    )
    chunks = Chunker(longest, 0, 100, lambda texts: [len(one) for one in texts]).cut([Block(text)])
    assert [chunk.text[-1] for chunk in chunks] == ends


def test_text_without_spaces_is_put_together_without_spaces() -> None:
    text = "水壶保修三年。退货三十天！" * 20
    chunks = chunker(100, 20, 1_000).cut([Block(text)])
    assert all(" " not in chunk.text for chunk in chunks)
    assert all(before.text[-7:] in after.text for before, after in pairwise(chunks))


def test_a_letter_keeps_its_marks() -> None:
    chunks = chunker(50, 0, 1_000).cut([Block("ที่" * 100)])
    assert {chunk.text[0] for chunk in chunks} == {"ท"}


@pytest.mark.parametrize("limit", [(200, 1_000), (1_000, 15)], ids=["characters", "tokens"])
def test_each_part_of_a_wide_row_says_which_row_it_is(limit: tuple[int, int]) -> None:
    columns = "; ".join(f"column {n}: value {n}" for n in range(60))
    rows = [Block(f"id: K-{n}; {columns}", "Sheet", "table", f"id: K-{n}; ", n) for n in (2, 3)]
    chunks = Chunker(limit[0], 50, limit[1], words).cut(rows)
    assert len(chunks) > 4
    assert all(chunk.text.startswith("id: K-") and chunk.tokens <= limit[1] for chunk in chunks)
    together = " ".join(chunk.text for chunk in chunks)
    assert all(together.count(f"value {n}") >= 2 for n in range(60))
    assert {chunk.location for chunk in chunks} <= {"Sheet, row 2", "Sheet, row 3", "Sheet, rows 2–3"}


def test_each_part_of_a_table_has_its_head() -> None:
    head = "| city | country |\n|---|---|\n"
    table = head + "\n".join(f"| town {n} | land {n} |" for n in range(50))
    chunks = chunker(200, 0, 1_000).cut([Block(table, "", "table", head)])
    assert len(chunks) > 3
    assert all(chunk.text.startswith("| city | country |") for chunk in chunks)
