"""What versions of a persona came to, added up by several nodes."""

from __future__ import annotations

from pathlib import Path

from intellirouter.memory.embedded.store import EmbeddedStore
from intellirouter.roles.router.pipeline.outcomes import MEASURES, Outcomes

NOTHING = dict.fromkeys(MEASURES, 0)


async def test_each_version_has_its_own_sums_whole_or_broken(tmp_path: Path) -> None:
    store = await EmbeddedStore(tmp_path / "state.db").open()
    try:
        one, other = Outcomes(store), Outcomes(store)
        one.count("ada@10", answers=1, seconds=0.25, usd=0.0000015)
        one.count("ada@9", answers=1, errors=1, length=0)
        await one.flush()
        other.count("ada@10", answers=2, seconds=0.5, output_tokens=70)
        other.count("bob@1", answers=5)
        found = await other.read("ada")
        assert found == [
            {"version": 9, **NOTHING, "answers": 1, "errors": 1},
            {"version": 10, **NOTHING, "answers": 3, "seconds": 0.75, "usd": 0.000002, "output_tokens": 70},
        ]
        assert [type(found[1][name]) for name in ("answers", "output_tokens", "seconds")] == [int, int, float]
        assert await one.read("nobody") == []
    finally:
        await store.aclose()
