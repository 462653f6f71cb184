"""How each target stands: calls under way, latency, circuit, rest after a refusal, keys. Process memory only.

Bounded: clients may name any `provider/model`, so the standing of what was asked longest ago is forgotten.
"""

from __future__ import annotations

import dataclasses
import time
from collections import OrderedDict, deque
from collections.abc import Callable

from intellirouter.errors import (
    AnswerTooLong,
    CallerTimeout,
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
from intellirouter.security.caller import Caller

MAX_TARGETS = 10_000
MAX_RUMOURS = 1_000
RECENT, ENOUGH = 100, 20
"""Calls that a percentile is taken of, and how few are too few for one."""
SMOOTHING = 0.2
"""How much the latest call counts in the moving average of latency."""
REFUSED_KEY_REST = 60.0
LONGEST_KEY_REST = 3600.0
"""Seconds, whatever a provider asks for."""
FORBIDDEN = 403
DEFAULT_TENANT = "default"
FIRST_REST = 1.0
LONGEST_REST = 60.0
USUAL_BYTES = 64 * 1024
USUAL_TOKENS = 256
"""A request and an answer of these sizes are usual: the time of larger ones is taken for so much of it."""
MAX_WITNESS = 128

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

    def measured(self, seconds: float, request_bytes: int = 0, answer_tokens: int = 0) -> None:
        """A call was answered after `seconds`. Long requests and answers take longer, and say no more for it."""
        self._refusals = 0
        if request_bytes > USUAL_BYTES:
            seconds *= USUAL_BYTES / request_bytes
        if answer_tokens > USUAL_TOKENS:
            seconds *= USUAL_TOKENS / answer_tokens
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
        self.on_circuit: Callable[[str, bool, str | None], None] = lambda _target, _opened, _only: None
        self._policy = policy
        self._targets: OrderedDict[str, TargetStanding] = OrderedDict()
        self._providers: dict[str, ProviderStanding] = {}
        self._rumours: dict[str, str | None] = {}  # open circuits of targets never asked here, and to whom

    def of(self, candidate: Candidate) -> TargetStanding:
        """The standing of a candidate's target."""
        found = self._targets.get(candidate.id)
        if found is not None:
            return found
        provider = self.provider(candidate.provider)
        standing = self._targets[candidate.id] = TargetStanding(provider, self._policy)
        if candidate.id in self._rumours:
            standing.circuit.open(self.clock(), self._rumours.pop(candidate.id))
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

    def heard(self, target: str, opened: bool, only: str | None = None) -> None:
        """Another router opened this target's circuit, to one witness or to all, or closed it."""
        standing = self._targets.get(target)
        if standing is None:
            if not opened:
                self._rumours.pop(target, None)
            elif len(self._rumours) < MAX_RUMOURS:
                self._rumours[target] = only
        elif opened:
            standing.circuit.open(self.clock(), only)
        else:
            standing.circuit.close()

    def answered(
        self, candidate: Candidate, seconds: float, request_bytes: int = 0, answer_tokens: int = 0
    ) -> None:
        """A call was answered after `seconds` (of a stream: its first token)."""
        standing = self.of(candidate)
        standing.measured(seconds, request_bytes, answer_tokens)
        if standing.circuit.succeeded(self.clock()):
            self.on_circuit(candidate.id, False, None)

    def failed(self, candidate: Candidate, key: int, error: IntelliRouterError, witness: str = "") -> None:
        """A call of `witness` failed: what that says of the target, its key or its circuit.

        What the caller did says nothing: its own deadline, a request that the target refuses, an answer longer than we read.
        """
        standing, now = self.of(candidate), self.clock()
        match error:
            case CallerTimeout() | AnswerTooLong():
                standing.circuit.unsure()
            case UpstreamRateLimited():
                standing.circuit.unsure()
                rest = min(error.retry_after or FIRST_REST, LONGEST_KEY_REST)
                standing.provider.keys.rest(key, now + rest)
                if standing.provider.keys.ready_in(now) > 0 or len(candidate.provider.keys) < 2:
                    standing.refused(now, error.retry_after)
            case UpstreamAuthFailed():
                if error.upstream_status != FORBIDDEN:  # that is of this model alone
                    standing.provider.keys.rest(key, now + REFUSED_KEY_REST)
                self._failure(candidate, standing, now, witness)
            case UpstreamRejected() | ContextLengthExceeded():
                standing.circuit.unsure()
            case UpstreamRedirected():
                standing.circuit.unsure()  # somebody answers there; where to, only the operator can say
            case UpstreamError():
                if error.retry_after is not None:
                    standing.refused(now, error.retry_after)
                self._failure(candidate, standing, now, witness)
            case _:
                standing.circuit.unsure()

    def _failure(self, candidate: Candidate, standing: TargetStanding, now: float, witness: str) -> None:
        if standing.circuit.failed(now, witness):
            self.on_circuit(candidate.id, True, standing.circuit.only)


def witness_of(caller: Caller) -> str:
    """Whose experience a request of `caller` is: its tenant's, its key's where all are of one tenant."""
    return (caller.key_id if caller.tenant == DEFAULT_TENANT else f"{caller.tenant}/")[:MAX_WITNESS]
