"""What /health says of an edge's link to its centre."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from intellirouter.errors import StateUnavailable
from intellirouter.roles.chain_engine.edges.link import TOLD_AFTER, Link
from intellirouter.roles.chain_engine.edges.outbox import DAY, Standing

NOW = 1_764_370_800.0
WELL = Standing(0, None, 0, "", 0, None)


@pytest.mark.parametrize(
    ("away_since", "last", "told"),
    [
        (None, None, ""),
        (None, WELL, ""),
        (NOW - TOLD_AFTER / 2, WELL, ""),
        (NOW - TOLD_AFTER - 1, None, "the centre does not answer, 0 runs wait for it: refused"),
        (
            NOW - TOLD_AFTER - 1,
            Standing(3, NOW - 90, 0, "", 0, None),
            "the centre does not answer, 3 runs wait for it: refused",
        ),
        (
            NOW - TOLD_AFTER - 1,
            Standing(1, NOW - 90, 0, "", 0, None),
            "the centre does not answer, 1 run waits for it: refused",
        ),
        (None, Standing(2, NOW - 9, 2, "too large", 0, None), "the centre refused 2 runs (too large)"),
        (
            None,
            Standing(0, None, 0, "", 4, NOW - DAY / 2),
            "4 runs were deleted before the centre had them",
        ),
        (None, Standing(0, None, 0, "", 4, NOW - 2 * DAY), ""),
    ],
)
def test_what_is_wrong_is_said(away_since: float | None, last: Standing | None, told: str) -> None:
    nothing: Any = None
    forwarding: Any = SimpleNamespace(away_since=away_since, trouble="refused", refusing=False)
    link = Link(outbox=nothing, runs=nothing, rows=None, forwarding=forwarding, last=last)
    assert link.problem(NOW) == told
    lost = 4.0 if "deleted" in told else 0.0
    assert link.measured(NOW) == (NOW - away_since if away_since is not None else 0.0, lost)
    forwarding.refusing = True
    assert link.problem(NOW) == told.replace("does not answer", "takes nothing")


async def test_how_the_link_stands_is_told_while_the_record_is_away() -> None:
    async def away() -> Any:
        raise StateUnavailable("The record cannot be read: disk I/O error")

    outbox: Any = SimpleNamespace(standing=lambda: Standing(3, NOW - 90, 0, "", 0, None))
    section = SimpleNamespace(url="http://centre", name="shop")
    forwarding: Any = SimpleNamespace(section=section, away_since=None, heard=NOW, trouble="", refusing=False)
    rows: Any = SimpleNamespace(leaving=away, forwarded=7)
    link = Link(outbox, SimpleNamespace(forwarded=5), rows, forwarding)  # type: ignore[arg-type]
    told = await link.standing()
    assert (told["waiting"], told["answers"]) == (3, True)
    assert told["records"] == {"trouble": "The record cannot be read: disk I/O error", "forwarded_here": 7}
