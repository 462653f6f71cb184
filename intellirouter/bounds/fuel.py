"""A budget of work for what a stranger's text makes us do.

Work is counted in units of about 100 ns and not timed: a run that is taken over comes to the same end on another machine,
and a test does not depend on how busy its machine is. Whoever loops, copies or compares on a stranger's behalf burns what it
costs before it does it; where the tank is empty, `OutOfFuel` says so.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from intellirouter.errors import InvalidRequest

BRIEF = 20_000
"""What may be done on the event loop: a few milliseconds."""
FULL = 1_500_000
"""What one evaluation may do in all, some 150 ms; beyond `BRIEF` it belongs into a thread."""


class OutOfFuel(InvalidRequest):
    """The work that was asked for is more than one evaluation may do."""

    code = "too_much_work"


class Tank:
    """What is left."""

    __slots__ = ("left",)

    def __init__(self, units: int) -> None:
        self.left = units


class _Current(threading.local):
    tank: Tank | None = None


_current = _Current()


@contextmanager
def tank(units: int) -> Iterator[Tank]:
    """Burn from a new tank within; the one outside, where there is one, stays as it is."""
    outer, _current.tank = _current.tank, Tank(units)
    try:
        yield _current.tank
    finally:
        _current.tank = outer


@contextmanager
def at_most(units: int) -> Iterator[Tank]:
    """A new tank, unless one is in use: what called this has set the bound already."""
    if _current.tank is not None:
        yield _current.tank
        return
    with tank(units) as new:
        yield new


def burn(units: int) -> None:
    """Count work that is about to be done. Raises `OutOfFuel`. Where no tank is in use, nothing is counted."""
    current = _current.tank
    if current is not None:
        current.left -= units
        if current.left < 0:
            raise OutOfFuel("This takes more work than one evaluation may do; split it into smaller steps.")


def remaining() -> int | None:
    """What is left in the tank in use."""
    return None if _current.tank is None else max(0, _current.tank.left)
