"""What is sealed for a sign-in under way is opened at its place, and nothing else is."""

from __future__ import annotations

import pytest

from intellirouter.identity.oidc.errors import WayLost
from intellirouter.identity.oidc.way import MAX_CHARACTERS, Ways, begun

WAYS = Ways(b"a key of the tests, long enough".ljust(32, b"."))


def test_a_way_is_opened_where_it_was_sealed_for() -> None:
    way = begun("corp", "https://here/back")
    sealed = WAYS.sealed(way, "cookie")
    assert b"https://here/back" in WAYS.opened(sealed, "cookie")
    for text, place in ((sealed, "elsewhere"), (sealed[:-8], "cookie"), ("", "cookie"), ("e30", "cookie")):
        with pytest.raises(WayLost):
            WAYS.opened(text, place)


def test_what_is_longer_than_any_way_is_not_opened() -> None:
    sealed = WAYS.sealed(begun("corp", "https://here/back", to="/" * 29_000), "cookie")
    assert len(sealed) <= MAX_CHARACTERS and WAYS.opened(sealed, "cookie")
    longer = WAYS.sealed(begun("corp", "https://here/back", to="/" * 31_000), "cookie")
    assert len(longer) > 40_000
    with pytest.raises(WayLost):
        WAYS.opened(longer, "cookie")
