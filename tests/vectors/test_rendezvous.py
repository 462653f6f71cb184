"""Who has what depends on the names alone, and little of it changes with them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from intellirouter.vectors.rendezvous import owners


@given(st.sets(st.text(max_size=8), min_size=3, max_size=8), st.lists(st.text(), max_size=20))
def test_only_the_names_of_a_node_that_goes_go_elsewhere(nodes: set[str], names: list[str]) -> None:
    gone = min(nodes)
    for name in names:
        before = owners(nodes, name, 2)
        assert len(set(before)) == 2
        assert owners(sorted(nodes), name) == before[:1]
        after = owners(nodes - {gone}, name, 2)
        assert after == before or gone in before
