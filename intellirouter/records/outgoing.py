"""Rows that another node's record is to have as well, and what comes of bringing them there.

At the node that brings them `Outgoing` names the rows that are still to go; the other one's store adopts them (`Store.adopt`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol


class Leaving(NamedTuple):
    """How many rows are still to go, and since when (Unix seconds) the oldest; of how many that was given up since the refusals were last forgotten, because they were refused (`why` the last of them) or deleted first."""

    waiting: int
    oldest: float | None
    refused: int
    refused_at: float | None
    why: str
    given_up: int
    given_up_at: float | None


class Outgoing(Protocol):
    """The rows of a store that are to go elsewhere. May raise `StateUnavailable`, as it does."""

    def begin(self) -> None:
        """Name every row with a tenant from now on, and those that are there; again it changes nothing."""

    def stop(self) -> None:
        """Name none any more, and forget those that were named."""

    def due(self, most: int) -> list[int]:
        """The ids of the oldest that are still to go. Begins where a store was made anew."""

    def done(self, ids: Sequence[int]) -> None:
        """They have arrived."""

    def refuse(self, ids: Sequence[int], why: str, when: float) -> None:
        """They are not taken, and are tried no more."""

    def again(self) -> int:
        """Name all rows that there are once more, those that were refused too; how many are to go."""

    def leaving(self) -> Leaving:
        """How it stands."""
