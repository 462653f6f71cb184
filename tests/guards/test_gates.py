"""A gate hides nothing: what a detector finds in a text without gates it finds through them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intellirouter.guards.finding import Finding
from intellirouter.guards.gates import loosened
from intellirouter.guards.scan import Scan
from intellirouter.guards.table import BUILTIN, GATES, detectors, settled
from tests.guards.test_detectors import FINDS, INJECTED

DETECTORS = detectors(tuple(BUILTIN))
TEXTS = [text for rows in FINDS.values() for text, _ in rows] + INJECTED
SIGNS = list(" \n\t\u00a0\u2028_-./:,;|@+()'\"<>{}[]*~\u200b\u0301éßОА中0123456789aAzZ")


def both(text: str) -> tuple[list[Finding], list[Finding]]:
    plain, gated = Scan(text), Scan(text, GATES)
    return (
        settled([one for detector in DETECTORS for one in detector.find(plain)]),
        settled([one for detector in DETECTORS for one in detector.find(gated)]),
    )


@pytest.mark.parametrize("text", TEXTS)
def test_what_is_known_goes_through(text: str) -> None:
    without, through = both(text)
    assert through == without


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.sampled_from(SIGNS),
            st.sampled_from(TEXTS),
            st.tuples(st.sampled_from(TEXTS), st.integers(0, 40), st.integers(1, 40)).map(
                lambda cut: cut[0][cut[1] : cut[1] + cut[2]]
            ),
        ),
        max_size=8,
    ).map("".join)
)
def test_whatever_is_written_around_it(text: str) -> None:
    without, through = both(text)
    assert through == without


@pytest.mark.parametrize(
    ("pattern", "loose"),
    [
        (r"(?<!\w)a{2,5}(?![\w)]|b)", r"a{2,}"),
        (r"[a\]b]{0,3} c{1,9}?", r"[a\]b]*[^a-z0-9]+c+?"),
        (r"[^\s]x\d", r"[^\s]x\d"),
    ],
)
def test_a_pattern_is_loosened(pattern: str, loose: str) -> None:
    assert loosened(pattern, gaps=True).replace("(?:[^a-z0-9]+)", "[^a-z0-9]+") == loose


def test_every_gate_is_a_pattern() -> None:
    """Each stands in a set that compiles, and lets through what is looked for and not everything."""
    harmless = "The quick brown fox jumps over the lazy dog, again and again; nothing is to be found here."
    for group in set(GATES.group_of.values()):
        assert GATES.open(group, harmless) == frozenset(), group
