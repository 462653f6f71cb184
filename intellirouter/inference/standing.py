"""How each target stands: calls under way, latency, circuit, rest after a refusal, keys. Process memory only.

Bounded: clients may name any `provider/model`, so the standing of what was asked longest ago is forgotten.
"""

from __future__ import annotations

import dataclasses
import time
from collections import OrderedDict, deque
from collections.abc import Callable

from intellirouter.errors import (
    ContextLengthExceeded,
    IntelliRouterError,
    UpstreamAuthFailed,
    UpstreamError,
    UpstreamRateLimited,
    UpstreamRedirected,
    UpstreamRejected,
)
from intellirouter.inference.catalog import Candidate
from intellirouter.inference.circuit import Circuit, CircuitPolicy
from intellirouter.inference.provider import Provider
from intellirouter.providers.adapter import Target

MAX_TARGETS = 10_000
MAX_RUMOURS = 1_000
RECENT, ENOUGH = 100, 20
"""Calls that a percentile is taken of, and how few are too few for one."""
SMOOTHING = 0.2
"""How much the latest call counts in the moving average of latency."""
REFUSED_KEY_REST = 60.0
FIRST_REST = 1.0
LONGEST_REST = 60.0

Clock = Callable[[], float]


class KeyPool:
    """The keys of one provider, in turn; one that was refused rests alone."""

    def __init__(self, provider: Provider) -> None:
        self._keys = provider.keys
        self._rests = [0.0] * len(provider.keys)
        self._turn = 0

    def pick(self, now: float) -> int:
        """The next key that does not rest; the one that rests shortest when all do. 0 when there are none."""
        count = len(self._keys)
        if count < 2:
            return 0
        self._turn += 1
        for step in range(count):
            index = (self._turn + step) % count
            if self._rests[index] <= now:
                return index
        return min(range(count), key=self._rests.__getitem__)

    def rest(self, index: int, until: float) -> None:
        """This key is not used before `until`."""
        if index < len(self._rests):
            self._rests[index] = max(self._rests[index], until)

    def ready_in(self, now: float) -> float:
        """Seconds until some key may be used."""
        return max(0.0, min(self._rests, default=0.0) - now)


class Minute:
    """Requests and tokens of the last sixty seconds, in six steps."""

    def __init__(self) -> None:
        self._steps: dict[int, list[float]] = {}

    def add(self, now: float, requests: float, tokens: float) -> None:
        """Count."""
        step = int(now // 10)
        counts = self._steps.get(step)
        if counts is None:
            self._steps = {key: value for key, value in self._steps.items() if key > step - 6}
            counts = self._steps[step] = [0.0, 0.0]
        counts[0] += requests
        counts[1] += tokens

    def totals(self, now: float) -> tuple[float, float]:
        """Requests and tokens."""
        first = int(now // 10) - 6
        recent = [counts for step, counts in self._steps.items() if step > first]
        return sum(counts[0] for counts in recent), sum(counts[1] for counts in recent)


class ProviderStanding:
    """What the targets of one provider share."""

    def __init__(self, provider: Provider) -> None:
        self.keys = KeyPool(provider)
        self.minute = Minute()
        self._provider = provider

    def headroom(self, now: float) -> float:
        """The unused share of the provider's limits, 0 to 1."""
        provider = self._provider
        if not provider.requests_per_minute and not provider.tokens_per_minute:
            return 1.0
        requests, tokens = self.minute.totals(now)
        used = 0.0
        if provider.requests_per_minute:
            used = requests / provider.requests_per_minute
        if provider.tokens_per_minute:
            used = max(used, tokens / provider.tokens_per_minute)
        return max(0.0, 1.0 - used)


class TargetStanding:
    """What is known of one target."""

    __slots__ = (
        "_refusals",
        "_targets",
        "circuit",
        "latency",
        "load",
        "provider",
        "recent",
        "resting_until",
    )

    def __init__(self, provider: ProviderStanding, policy: CircuitPolicy) -> None:
        self.provider = provider
        self.circuit = Circuit(policy)
        self.load = 0
        self.latency: float | None = None
        self.recent: deque[float] = deque(maxlen=RECENT)
        self.resting_until = 0.0
        self._refusals = 0
        self._targets: dict[int, Target] = {}

    def target(self, candidate: Candidate, key: int) -> Target:
        """The candidate's target with this key."""
        if key == 0:
            return candidate.target
        found = self._targets.get(key)
        if found is None or found.base_url != candidate.target.base_url:
            found = dataclasses.replace(candidate.target, api_key=candidate.provider.keys[key])
            self._targets[key] = found
        return found

    def measured(self, seconds: float) -> None:
        """A call was answered after `seconds`."""
        self._refusals = 0
        self.recent.append(seconds)
        known = self.latency
        self.latency = seconds if known is None else known + SMOOTHING * (seconds - known)

    def usual(self) -> float | None:
        """The time within which 95 of 100 recent calls were answered, None while too few were."""
        if len(self.recent) < ENOUGH:
            return None
        return sorted(self.recent)[int(len(self.recent) * 0.95)]

    def refused(self, now: float, retry_after: float | None) -> None:
        """The target asked for a rest, or for one of unknown length: then each is twice the last."""
        self._refusals += 1
        rest = retry_after if retry_after is not None else FIRST_REST * 2 ** min(self._refusals - 1, 6)
        self.resting_until = max(self.resting_until, now + min(rest, LONGEST_REST))


class Board:
    """The standing of every target. `on_circuit` hears of every circuit that this process opened or closed."""

    def __init__(self, policy: CircuitPolicy, clock: Clock = time.monotonic) -> None:
        self.clock = clock
        self.drained: frozenset[str] = frozenset()
        """Targets and providers that get no new requests."""
        self.on_circuit: Callable[[str, bool], None] = lambda _target, _opened: None
        self._policy = policy
        self._targets: OrderedDict[str, TargetStanding] = OrderedDict()
        self._providers: dict[str, ProviderStanding] = {}
        self._rumours: set[str] = set()  # open circuits of targets never asked here

    def of(self, candidate: Candidate) -> TargetStanding:
        """The standing of a candidate's target."""
        found = self._targets.get(candidate.id)
        if found is not None:
            return found
        provider = self.provider(candidate.provider)
        standing = self._targets[candidate.id] = TargetStanding(provider, self._policy)
        if candidate.id in self._rumours:
            self._rumours.discard(candidate.id)
            standing.circuit.open(self.clock())
        while len(self._targets) > MAX_TARGETS:
            self._targets.popitem(last=False)
        return standing

    def provider(self, provider: Provider) -> ProviderStanding:
        """The standing of a provider; a reconfigured one starts anew."""
        found = self._providers.get(provider.name)
        if found is None or found.keys._keys != provider.keys:  # noqa: SLF001  the same room
            found = self._providers[provider.name] = ProviderStanding(provider)
        return found

    def known(self) -> dict[str, TargetStanding]:
        """Every target that was ever asked, by id."""
        return dict(self._targets)

    def heard(self, target: str, opened: bool) -> None:
        """Another router opened or closed this target's circuit."""
        standing = self._targets.get(target)
        if standing is None:
            if not opened:
                self._rumours.discard(target)
            elif len(self._rumours) < MAX_RUMOURS:
                self._rumours.add(target)
        elif opened:
            standing.circuit.open(self.clock())
        else:
            standing.circuit.close()

    def answered(self, candidate: Candidate, seconds: float) -> None:
        """A call was answered after `seconds` (of a stream: its first token)."""
        standing = self.of(candidate)
        standing.measured(seconds)
        if standing.circuit.succeeded(self.clock()):
            self.on_circuit(candidate.id, False)

    def failed(self, candidate: Candidate, key: int, error: IntelliRouterError) -> None:
        """A call failed: what that says of the target, its key or its circuit."""
        standing, now = self.of(candidate), self.clock()
        match error:
            case UpstreamRateLimited():
                standing.circuit.unsure()
                standing.provider.keys.rest(key, now + (error.retry_after or FIRST_REST))
                if standing.provider.keys.ready_in(now) > 0 or len(candidate.provider.keys) < 2:
                    standing.refused(now, error.retry_after)
            case UpstreamAuthFailed():
                standing.provider.keys.rest(key, now + REFUSED_KEY_REST)
                self._failure(candidate, standing, now)
            case UpstreamRejected() | ContextLengthExceeded():
                standing.circuit.succeeded(now)
            case UpstreamRedirected():
                standing.circuit.unsure()  # somebody answers there; where to, only the operator can say
            case UpstreamError():
                if error.retry_after is not None:
                    standing.refused(now, error.retry_after)
                self._failure(candidate, standing, now)
            case _:
                standing.circuit.unsure()

    def _failure(self, candidate: Candidate, standing: TargetStanding, now: float) -> None:
        if standing.circuit.failed(now):
            self.on_circuit(candidate.id, True)
