"""How much a tenant keeps in all: whoever keeps something for somebody asks here before it does.

`security/ownership.py` names for each kind of thing the key of `[keeping]` that bounds it.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from intellirouter.config.schema.keeping import KeepingSection, What
from intellirouter.errors import KeepsTooMuch

COUNTED_SECONDS = 10.0
"""How long a count is believed; what this process adds meanwhile is added to it."""
AGAIN_TIMES = 20
"""A tenant that is at its bound is counted again, as it may have deleted something, after so many times of what a count took."""
MOST_COUNTS = 10_000
"""Tenants and kinds whose counts are remembered."""

Count = Callable[[], Awaitable[float]]


@dataclass(frozen=True, slots=True)
class _Counted:
    """A count, when it was made and how long that took. `taken` since then may never have been used."""

    level: float
    at: float
    took: float
    taken: float = 0.0


class Keeping:
    """The bounds of `[keeping]`, and what is known of each tenant."""

    def __init__(self, section: KeepingSection | None = None) -> None:
        self._section = section or KeepingSection()
        self._known: OrderedDict[tuple[str, What], _Counted] = OrderedDict()

    def most(self, tenant: str, what: What) -> int:
        """What this tenant may keep of it."""
        return self._section.most(tenant, what)

    async def room(self, tenant: str, what: What, count: Count, more: float = 1) -> None:
        """Take `more` of what a tenant may keep. `count` says what is there now. Raises `KeepsTooMuch`."""
        most, now = self._section.most(tenant, what), time.monotonic()
        known = self._known.get((tenant, what))
        if (
            known is not None
            and now - known.at <= COUNTED_SECONDS
            and known.level + known.taken + more <= most
        ):
            self._note(tenant, what, replace(known, taken=known.taken + more))
            return
        if known is None or known.level + more <= most or now - known.at > AGAIN_TIMES * known.took:
            known = _Counted(await count(), now, time.monotonic() - now)
        fits = known.level + more <= most
        self._note(tenant, what, replace(known, taken=more) if fits else known)
        self.check(tenant, what, known.level, more)

    def check(self, tenant: str, what: What, level: float, more: float = 1) -> None:
        """Raises `KeepsTooMuch` where `more` than the `level` that is there would be too much."""
        if level + more > self._section.most(tenant, what):
            raise self.full(tenant, what)

    def _note(self, tenant: str, what: What, counted: _Counted) -> None:
        self._known[tenant, what] = counted
        self._known.move_to_end((tenant, what))
        if len(self._known) > MOST_COUNTS:
            self._known.popitem(last=False)

    def full(self, tenant: str, what: What) -> KeepsTooMuch:
        """The error of a tenant that may keep no more of it."""
        most = self._section.most(tenant, what)
        return KeepsTooMuch(
            f"The tenant '{tenant}' may keep {most:,} {what.replace('_', ' ')} in all, and this would be more: delete some, or "
            f"have the operator raise keeping.{what}.",
            limit=f"keeping.{what}",
            most=most,
        )
