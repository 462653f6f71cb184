"""StateStore: the protocol every backend implements.

Keys are plain strings without the namespace (`intellirouter:` in Redis), parts joined with `:`. Values are bytes.
Durations are seconds. An operation either happened and was acknowledged, or raised `StateUnavailable`.

A version is the time of the write in microseconds since the epoch by the store's clock, moved forward where needed so
that it always grows: a conditional write cannot be fooled by a value that was deleted and written again, and when
two copies meet after an outage the later write holds.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Literal, Protocol


@dataclass(frozen=True, slots=True)
class Versioned:
    """A value and the version that a conditional write must name. Version 0 means absent."""

    value: bytes | None
    version: int


@dataclass(frozen=True, slots=True)
class Claim:
    """One counter a reservation must fit: at most `limit` within a fixed window of `window` seconds.

    `window` 0 counts for ever. The window starts at multiples of `window` since the epoch, by the store's clock.
    The claims of one reservation share the first part of their keys (before the first `:`), its family: in a Redis
    Cluster the counters of a family live together, which is what makes a reservation atomic.
    """

    key: str
    amount: float
    limit: float
    window: float = 0


@dataclass(frozen=True, slots=True)
class Reservation:
    """The outcome of `reserve`: all claims or none. `denied` is the first claim that did not fit.

    `levels` are the counters after the call (or as they stand, when denied); `retry_after` in seconds.
    """

    granted: bool
    levels: tuple[float, ...]
    denied: int | None = None
    retry_after: float = 0.0


@dataclass(frozen=True, slots=True)
class Lease:
    """A lock held until `expires_in` seconds passed. `token` grows with every new holder (a fencing token)."""

    name: str
    owner: str
    token: int
    expires_in: float


@dataclass(frozen=True, slots=True)
class StateHealth:
    """What /health says of the store. `degraded` means serving from local state."""

    status: Literal["healthy", "degraded", "unhealthy"]
    backend: str
    reason: str = ""
    since: float = 0.0  # Unix seconds the status holds


@dataclass(frozen=True, slots=True)
class Event:
    """One published message."""

    channel: str
    payload: bytes


def family(key: str) -> str:
    """The part of a key before its first `:`."""
    return key.partition(":")[0]


def check_claims(claims: Sequence[Claim]) -> None:
    """Raise `ValueError` for claims that no backend could take atomically: a mistake in our own code."""
    if len({family(claim.key) for claim in claims}) > 1:
        raise ValueError(f"claims of one reservation must share a family: {[claim.key for claim in claims]}")
    if any(claim.amount < 0 for claim in claims):
        raise ValueError("a reservation cannot be negative: use add() to give back")


def check_family(keys: Iterable[str]) -> None:
    """Raise `ValueError` for counters that no backend could add to atomically: a mistake in our own code."""
    if len(families := {family(key) for key in keys}) > 1:
        raise ValueError(f"counters that are added to together must share a family: {sorted(families)}")


class StateStore(Protocol):
    """See the module. Every method may raise `StateUnavailable`."""

    async def get(self, key: str) -> bytes | None:
        """The value, or None."""

    async def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        """The values in the order of `keys`."""

    async def set(
        self, key: str, value: bytes, *, ttl: float | None = None, only_if_absent: bool = False
    ) -> bool:
        """Write; False only when `only_if_absent` and the key exists."""

    async def delete(self, *keys: str) -> int:
        """Remove values and logs of these keys; how many of the keys existed."""

    def scan(self, prefix: str) -> AsyncIterator[str]:
        """Keys of values and logs that start with `prefix`, each once, in no order, without blocking the store."""

    async def get_versioned(self, key: str) -> Versioned:
        """The value with its version, for `put_if`."""

    async def put_if(self, key: str, value: bytes, version: int, *, ttl: float | None = None) -> int | None:
        """Write if the version still is `version`; the new version, or None when somebody else wrote."""

    async def add(self, key: str, amount: float, *, window: float = 0) -> float:
        """Add to a counter (in its current window) and return its level. Negative amounts give back."""

    async def add_all(self, amounts: Mapping[str, float]) -> list[float]:
        """Add to counters of one family that have no window, all or none of them; the levels, in order."""

    async def level(self, key: str, *, window: float = 0) -> float:
        """A counter's level in its current window."""

    async def reserve(self, claims: Sequence[Claim]) -> Reservation:
        """Take every claim or none, atomically."""

    async def append(
        self,
        key: str,
        items: Sequence[bytes],
        *,
        expected_length: int | None = None,
        ttl: float | None = None,
    ) -> int | None:
        """Append to a log; its new length, or None when it is not `expected_length` long. All items or none.

        `ttl` counts anew from this append.
        """

    async def replace(
        self, key: str, items: Sequence[bytes], *, expected_length: int, ttl: float | None = None
    ) -> bool:
        """Put `items` in place of a whole log, at once; False, and nothing changed, when it is not `expected_length` long.

        `ttl` counts anew from then; None: for ever.
        """

    async def slice(self, key: str, start: int = 0, stop: int | None = None) -> list[bytes]:
        """Items of a log from `start` to before `stop`; negative positions count from the end."""

    async def acquire(self, name: str, owner: str, ttl: float) -> Lease | None:
        """Take a lease if it is free or already ours; None when another holds it."""

    async def renew(self, lease: Lease, ttl: float) -> Lease:
        """Hold it longer. Raises `LeaseLost`."""

    async def release(self, lease: Lease) -> None:
        """Give it back. Giving back what was lost is not an error."""

    async def publish(self, channel: str, payload: bytes) -> None:
        """Send to whoever subscribes now. Channels read `{source}:{destination}:{event}`."""

    def subscribe(self, *patterns: str) -> AbstractAsyncContextManager[AsyncIterator[Event]]:
        """Events of channels that match a pattern (`*` matches any run). Slow readers lose the oldest.

        No order is promised between channels: in a Redis Cluster their events travel through different nodes.
        """

    def health(self) -> StateHealth:
        """From what is already known; never waits."""

    async def aclose(self) -> None:
        """Flush and let go."""
