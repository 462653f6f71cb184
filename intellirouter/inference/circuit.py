"""Circuit breaker: stop asking a target that fails, and find out when it is well again. Sans-io; time is handed in.

    closed ──(5 failures in a row, or half of ≥ 20 calls within 30 s)──► open
    open ──(after a rest)──► half-open: one call is let through as a probe
    half-open ──(the probe succeeds)──► closed      half-open ──(it fails)──► open

It says whose requests failed (a witness: a key or tenant). What only one of them met may be its own fault: a body the
target chokes on, a length nobody else asks for. So a circuit that one witness opened is open to that one; the next
request of another is let through, and decides whether it is open to all or closes.

The first rest is short and each failed probe lengthens it, up to `timeout`; it never exceeds `probe_interval`, so a
target that recovers is used again within that time. Source: Nygard, "Release It!" (2007).
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

CircuitState = Literal["closed", "open", "half-open"]

FIRST_REST = 5.0
MIN_CALLS = 20
RATE_WINDOW = 30.0
FAILURE_RATE = 0.5
PROBE_PATIENCE = 30.0
"""Seconds after which a probe nobody reported on is given up for lost."""


@dataclass(frozen=True, slots=True)
class CircuitPolicy:
    """`threshold` failures in a row open it; `timeout` and `probe_interval` bound a rest, in seconds."""

    threshold: int = 5
    timeout: float = 60.0
    probe_interval: float = 15.0


class Circuit:
    """The circuit of one target."""

    def __init__(self, policy: CircuitPolicy) -> None:
        self._policy = policy
        self._in_a_row = 0
        self._calls: deque[tuple[float, bool, str]] = deque(maxlen=256)
        self.closed = True
        """True when calls flow freely: what every request asks is an attribute."""
        self.only: str | None = None
        """The one witness it is open to; None: to all."""
        self._rest = 0.0
        self._until = 0.0
        self._probing_since: float | None = None

    def state(self, now: float) -> CircuitState:
        """As an observer sees it."""
        if self.closed:
            return "closed"
        return "half-open" if now >= self._until else "open"

    def would_admit(self, now: float, witness: str = "") -> bool:
        """Whether a call of `witness` may be made now."""
        if self.closed or (self.only is not None and self.only != witness):
            return True
        probing = self._probing_since is not None and now - self._probing_since < PROBE_PATIENCE
        return now >= self._until and not probing

    def admit(self, now: float, witness: str = "") -> bool:
        """Ask to make a call; in half-open, the one that is admitted is the probe."""
        if not self.would_admit(now, witness):
            return False
        if not self.closed and self.only in (None, witness):
            self._probing_since = now
        return True

    def opens_in(self, now: float) -> float:
        """Seconds until the next probe may be made."""
        return max(0.0, self._until - now) if not self.closed else 0.0

    def succeeded(self, now: float, witness: str = "") -> bool:
        """A call succeeded; True when that closed the circuit."""
        self._in_a_row = 0
        if self._calls or not self.closed:
            self._calls.append((now, True, witness))
        return self.close()

    def failed(self, now: float, witness: str = "") -> bool:
        """A call failed; True when that opened the circuit, to one or to all."""
        self._in_a_row += 1
        self._calls.append((now, False, witness))
        if not self.closed:
            if self.only is not None and self.only != witness:  # a second one met it: it is the target's
                self.only = None
                self._begin_rest(now)
                return True
            if self._probing_since is not None:
                self._probing_since = None
                self._begin_rest(now)
            return False
        if self._in_a_row >= self._policy.threshold:
            calls = list(self._calls)[-self._in_a_row :]
        elif self._rate_too_high(now):
            calls = list(self._calls)
        else:
            return False
        self.open(now, _only(calls))
        return True

    def unsure(self) -> None:
        """A call ended without saying anything about the target (cancelled, or refused for its own sake)."""
        self._probing_since = None

    def open(self, now: float, only: str | None = None) -> None:
        """Open it, or take another router's word that it is; to this one witness, or to all."""
        if not self.closed and only is None:
            self.only = None
        if self.closed:
            self.only = only
            self.closed = False
            self._rest = 0.0
            self._probing_since = None
            self._begin_rest(now)

    def close(self) -> bool:
        """Close it; False when it was closed."""
        if self.closed:
            return False
        self.closed = True
        self._in_a_row = 0
        self._probing_since = None
        self._calls.clear()
        return True

    def _begin_rest(self, now: float) -> None:
        longest = min(self._policy.timeout, self._policy.probe_interval)
        self._rest = min(self._rest * 2 if self._rest else min(FIRST_REST, longest), longest)
        self._until = now + self._rest

    def _rate_too_high(self, now: float) -> bool:
        while self._calls and self._calls[0][0] < now - RATE_WINDOW:
            self._calls.popleft()
        failures = sum(not fine for _, fine, _ in self._calls)
        return len(self._calls) >= MIN_CALLS and failures >= FAILURE_RATE * len(self._calls)


def _only(calls: Sequence[tuple[float, bool, str]]) -> str | None:
    """The witness that failed alone; None where those of the others failed as well."""
    worst = Counter(witness for _, fine, witness in calls if not fine).most_common(1)[0][0]
    others = [fine for _, fine, witness in calls if witness != worst]
    return None if others and others.count(False) >= FAILURE_RATE * len(others) else worst
