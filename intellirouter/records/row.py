"""The row: everything the record knows of one request.

Ids grow with the time a request ended, so that a page of the newest rows is the end of the table, and a moment is an id
(`id_at`). They are unique over processes and nodes: 42 bits of milliseconds, 12 of the process, 9 of a counter.
"""

from __future__ import annotations

import math
import time
from datetime import UTC, datetime
from random import getrandbits
from typing import Any

import msgspec

COUNT_BITS, PROCESS_BITS = 9, 12
SHIFT = COUNT_BITS + PROCESS_BITS
GROWTH = math.log(1.05)
"""Buckets of durations and costs grow by 5 %: a percentile read from them is within 3 % of the exact one."""
FINEST_SECONDS, FINEST_USD = 1e-4, 1e-7


SLOW_SECONDS, DEAR_USD = 10.0, 0.01
"""From here on a duration and a cost are in an index: an index of all would cost as much as the rest of a row."""


class Detail(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What is only looked at, one request at a time.

    `decision` is the plan with its strategy and order, `attempts` each call to a target with its outcome, `steps` milliseconds of
    what came before and after the model, `guards` what the guards found, `notes` what was approximated. `sealed` is all of that,
    encrypted, as a store of a node with a key keeps it.
    """

    decision: dict[str, Any] = {}
    attempts: list[dict[str, Any]] = []
    steps: dict[str, float] = {}
    guards: list[dict[str, Any]] = []
    notes: list[str] = []
    sealed: str = ""


class Row(msgspec.Struct, kw_only=True):
    """One request. Times in Unix seconds, durations in seconds, money in US dollars; None: not known, or none.

    `session` groups requests that belong together, `chain_run` those of one run; `user` is the end user the client named.
    `model` is what was asked for, `served_model` who answered. `dearest_usd` is what the same tokens had cost on the dearest target of
    the model's group. `asked` and `answered` are content, kept only where configuration and key allow it.
    """

    id: int = 0
    ended: float
    seconds: float = 0.0
    first_token: float | None = None
    request_id: str = ""
    session: str = ""
    trace_id: str = ""
    role: str = ""
    node: str = ""
    method: str = ""
    path: str = ""
    endpoint: str = ""
    dialect: str = ""
    stream: bool = False
    status: int = 0
    error: str = ""
    message: str = ""
    key: str = ""
    team: str = ""
    tenant: str = ""
    user: str = ""
    tags: tuple[str, ...] = ()
    model: str = ""
    served_model: str = ""
    provider: str = ""
    strategy: str = ""
    cache: str = ""
    persona: str = ""
    collections: tuple[str, ...] = ()
    chain_run: str = ""
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    written_tokens: int | None = None
    reasoning_tokens: int | None = None
    cost_usd: float | None = None
    dearest_usd: float | None = None
    feedback: dict[str, Any] | None = None
    user_agent: str = ""
    client: str = ""
    detail: Detail = msgspec.field(default_factory=Detail)
    asked: str | None = None
    answered: str | None = None

    @property
    def started(self) -> float:
        """When the request came."""
        return self.ended - self.seconds

    @property
    def saved_usd(self) -> float | None:
        """What routing saved against the dearest target."""
        if self.cost_usd is None or self.dearest_usd is None:
            return None
        return max(0.0, self.dearest_usd - self.cost_usd)

    def shown(self, *, whole: bool = False) -> dict[str, Any]:
        """The row as the API tells it; with `whole` the detail and the content too. The id is a string: it is more than a double holds."""
        facts: dict[str, Any] = {
            name: getattr(self, name)
            for name in self.__struct_fields__
            if name not in ("detail", "asked", "answered")
        }
        facts["id"] = str(self.id)
        facts["time"] = moment(self.ended)
        facts["started"] = round(self.started, 6)
        facts["saved_usd"] = self.saved_usd
        if whole:
            facts |= msgspec.structs.asdict(self.detail)
            del facts["sealed"]
            facts["asked"], facts["answered"] = self.asked, self.answered
        return facts


def moment(when: float) -> str:
    """Unix seconds as RFC 3339 in UTC, to the millisecond."""
    return datetime.fromtimestamp(when, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def id_at(when: float) -> int:
    """The smallest id of a request that ended at `when` or later."""
    return max(0, int(when * 1e3)) << SHIFT


def time_of(row_id: int) -> float:
    """When the request of that id ended, to the millisecond."""
    return (row_id >> SHIFT) / 1e3


class Ids:
    """Ids of one process, each larger than the one before, whatever the clock does."""

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        """Take another number for this process: somebody else has the one we had."""
        self._process = getrandbits(PROCESS_BITS) << COUNT_BITS
        self._last = 0
        self._count = 0

    def next(self, when: float | None = None) -> int:
        """The id of a request that ended at `when` (now), or a moment later."""
        now = int((time.time() if when is None else when) * 1e3)
        if now > self._last:
            self._last, self._count = now, 0
        else:
            self._count += 1
            if self._count >> COUNT_BITS:
                self._last, self._count = self._last + 1, 0
        return self._last << SHIFT | self._process | self._count


def seconds_bucket(seconds: float | None) -> int | None:
    """The number of the bucket that a duration falls into."""
    return None if seconds is None else _bucket(seconds / FINEST_SECONDS)


def usd_bucket(usd: float | None) -> int | None:
    """The number of the bucket that a cost falls into; None for what was free."""
    return None if not usd else _bucket(usd / FINEST_USD)


def _bucket(times: float) -> int:
    return int(math.log(times) / GROWTH) if times > 1 else 0


def bucket_seconds(bucket: int) -> float:
    """The duration in the middle of a bucket."""
    return FINEST_SECONDS * math.exp((bucket + 0.5) * GROWTH)


SLOW_BUCKET = _bucket(SLOW_SECONDS / FINEST_SECONDS)
DEAR_BUCKET = _bucket(DEAR_USD / FINEST_USD)
