"""Soft thresholds of budgets: told once for each period, in the log and as an event, before the budget is used up.

The event is `limits:all:budget` with a JSON object: `who` (`key:ann`), `period`, `percent` reached, `limit` and `used` in US dollars.
Every node sees the same counter; the first to tell of a threshold writes so down, and the others hold their tongue.

What was reached stands in the shared store (`budgets-reached`) until its period ends, for whoever looks later.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec
import structlog

from intellirouter.errors import StateError
from intellirouter.inference.limits.terms import BudgetTerm
from intellirouter.memory.store import StateStore

PERCENTS = (50, 80, 95, 100)
CHANNEL = "limits:all:budget"
LASTING_SECONDS = 40 * 86_400.0
"""How long it is remembered what was told of a budget without an end, or of a month."""
MAX_WATCHED = 50_000
MAX_TOLD = 1_000
"""Budgets that are told of in the metrics."""
REACHED = "budgets-reached"
MAX_REACHED = 1_000
"""Budgets that are remembered to have reached a threshold: those that did last."""
EASED = 0.9
"""Of a threshold: a budget that is used less than that again was raised."""
_TRIES = 20

log = structlog.get_logger(__name__)


class Reached(msgspec.Struct, frozen=True):
    """A threshold of a budget: `percent` of `limit` US dollars were used. `until` is the end of its period in Unix seconds; 0: none."""

    who: str
    period: str
    percent: int
    limit: float
    used: float
    at: float
    until: float


async def reached(store: StateStore, now: float) -> list[Reached]:
    """Of every budget that reached a threshold in this period, the highest. Raises `StateUnavailable`."""
    return [one for one in _read(await store.get(REACHED)).values() if not one.until or one.until > now]


def _read(value: bytes | None) -> dict[str, Reached]:
    try:
        return msgspec.json.decode(value, type=dict[str, Reached]) if value is not None else {}
    except msgspec.MsgspecError:  # written by another version
        return {}


def _latest(found: Iterable[tuple[str, Reached]], now: float) -> dict[str, Reached]:
    live = [(key, one) for key, one in found if not one.until or one.until > now]
    return dict(sorted(live, key=lambda item: item[1].at)[-MAX_REACHED:])


class Thresholds:
    """Looks at budgets that were spent from, once a second."""

    def __init__(self, store: StateStore) -> None:
        self._store = store
        self._spent: dict[str, BudgetTerm] = {}
        self._refused: set[str] = set()
        self.known: dict[str, BudgetTerm] = {}
        """Budgets that were spent from, the last of them, for whoever tells what is left."""
        self._told: dict[str, tuple[float, int]] = {}  # the start of the period, and the highest percent

    def spent(self, budget: BudgetTerm) -> None:
        """Something was taken from it."""
        self._spent[budget.purse.key] = budget

    def refused(self, budget: BudgetTerm) -> None:
        """It did not cover a request."""
        self._spent[budget.purse.key] = budget
        self._refused.add(budget.purse.key)

    async def look(self) -> None:
        """Tell what has been reached since the last time."""
        spent, self._spent = self._spent, {}
        refused, self._refused = self._refused, set()
        now = time.time()
        self.known |= spent
        for key in list(self.known)[: max(0, len(self.known) - MAX_TOLD)]:
            del self.known[key]
        for key, budget in spent.items():
            purse = budget.purse
            used = purse.limit - purse.remaining(now)
            share = 100.0 if key in refused or not purse.limit else 100 * used / purse.limit
            most = max((percent for percent in PERCENTS if share >= percent), default=0)
            began = now - now % purse.window if purse.window else 0.0
            last = self._told.get(key, (began, 0))
            before = last[1] if last[0] == began else 0
            if most <= before and share >= before * EASED:
                continue
            if len(self._told) >= MAX_WATCHED:
                self._told.clear()
            self._told[key] = (began, most)
            await self._note(budget, most, used, now, lowered=most < before)
            if most > before:
                await self._tell(budget, began, most, used)

    async def _note(
        self, budget: BudgetTerm, percent: int, used: float, now: float, *, lowered: bool
    ) -> None:
        """Write down how far it is used up."""
        purse = budget.purse
        until = now - now % purse.window + purse.window if purse.window else _end_of(budget.period, now)
        one = Reached(budget.who, budget.period, percent, purse.limit, round(used, 6), now, until)
        try:
            for _ in range(_TRIES):
                read = await self._store.get_versioned(REACHED)
                kept = _read(read.value)
                known = kept.get(purse.key)
                if known is not None and not lowered and (known.until, known.limit) == (until, purse.limit):
                    one = msgspec.structs.replace(one, percent=max(percent, known.percent))
                if percent:
                    kept[purse.key] = one
                else:
                    kept.pop(purse.key, None)
                value = msgspec.json.encode(_latest(kept.items(), now))
                if await self._store.put_if(REACHED, value, read.version) is not None:
                    return
        except StateError as error:
            log.warning("budget.not_noted", reason=error.message)

    async def _tell(self, budget: BudgetTerm, began: float, percent: int, used: float) -> None:
        purse = budget.purse
        facts = {
            "who": budget.who,
            "period": budget.period,
            "percent": percent,
            "limit": purse.limit,
            "used": round(used, 6),
        }
        try:
            name = f"budget-told:{purse.key}:{int(began)}:{percent}"
            if not await self._store.set(name, b"", ttl=purse.window or LASTING_SECONDS, only_if_absent=True):
                return  # another process did
            await self._store.publish(CHANNEL, msgspec.json.encode(facts))
        except StateError as error:
            log.warning("budget.event_lost", reason=error.message)
        log.warning("budget.threshold", **facts)


def _end_of(period: str, now: float) -> float:
    """Of a calendar month (UTC); 0 for a budget that has no end."""
    if period != "month":
        return 0.0
    here = datetime.fromtimestamp(now, UTC)
    year, month = (here.year + 1, 1) if here.month == 12 else (here.year, here.month + 1)
    return datetime(year, month, 1, tzinfo=UTC).timestamp()
