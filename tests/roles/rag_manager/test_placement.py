"""Where collections are stays known while the shared store is away, as far as memory is given to it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from intellirouter.errors import StateUnavailable
from intellirouter.roles.rag_manager.cluster import placement
from intellirouter.roles.rag_manager.cluster.placement import Placements


class Store:
    """What is written, until it is away."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        self.status = "healthy"

    async def get(self, key: str) -> bytes | None:
        return self.kept.get(key) if self.status == "healthy" else None

    def health(self) -> Any:
        return SimpleNamespace(status=self.status)


async def test_the_latest_that_were_asked_for_are_known_while_the_store_is_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(placement, "MAX_KNOWN", 2)
    store: Any = Store()
    placements = Placements(store, ["n1", "n2"])
    for name in "abc":
        store.kept[placement._collection("t", name)] = b'["n1"]'
    for name in "abac":
        assert await placements.find("t", name) == ("n1",)
    assert await placements.find("t", "never") is None
    store.status = "degraded"
    assert [await placements.find("t", name) for name in "ac"] == [("n1",)] * 2
    with pytest.raises(StateUnavailable):
        await placements.find("t", "b")
