"""What the targets of a provider share."""

from __future__ import annotations

import pytest

from intellirouter.inference.provider import Provider
from intellirouter.inference.standing import ProviderStanding
from intellirouter.providers.table import ADAPTERS


@pytest.mark.parametrize(
    ("limits", "left"),
    [
        ({}, 1.0),
        ({"requests_per_minute": 10}, 0.7),
        ({"tokens_per_minute": 1_000}, 0.4),
        ({"requests_per_minute": 10, "tokens_per_minute": 1_000}, 0.4),
        ({"requests_per_minute": 4, "tokens_per_minute": 1_000}, 0.25),
        ({"requests_per_minute": 2}, 0.0),
    ],
)
def test_headroom_is_the_least_that_is_left_of_the_last_minute(limits: dict[str, int], left: float) -> None:
    standing = ProviderStanding(Provider("p", ADAPTERS["openai"], "https://h/v1", **limits))
    for now in (1_000.0, 1_029.0, 1_030.0):
        standing.minute.add(now, 1, 200)
    assert standing.headroom(1_030.0) == pytest.approx(left)
    assert standing.headroom(1_095.0) == 1.0
