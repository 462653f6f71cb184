"""What one role tells another of how good answers were."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from intellirouter.peers.contract import MAX_JUDGED, Judgement

GOOD: dict[str, Any] = {"request_ids": ["r"], "score": 0.5, "by": "x"}


@pytest.mark.parametrize(
    ("change", "holds"),
    [
        ({}, True),
        ({"request_ids": ["r" * 128] * MAX_JUDGED, "score": 1, "by": "x" * 100}, True),
        ({"score": 0}, True),
        ({"request_ids": []}, False),
        ({"request_ids": [""]}, False),
        ({"request_ids": ["r" * 129]}, False),
        ({"request_ids": ["r"] * (MAX_JUDGED + 1)}, False),
        ({"score": 1.01}, False),
        ({"score": -0.01}, False),
        ({"by": ""}, False),
        ({"by": "x" * 101}, False),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_judgement_is_read_within_its_bounds(change: dict[str, Any], holds: bool) -> None:
    data = msgspec.json.encode({**GOOD, **change})
    if holds:
        assert msgspec.json.encode(msgspec.json.decode(data, type=Judgement)) is not None
    else:
        with pytest.raises(msgspec.ValidationError):
            msgspec.json.decode(data, type=Judgement)
