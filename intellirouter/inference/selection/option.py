"""What a strategy sees of a target and of a request."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec


class Option(msgspec.Struct, frozen=True):
    """One target as it stands now.

    `load`: calls under way. `latency`: moving average in seconds, None before the first answer. `input_price` and
    `output_price`: US dollars per million tokens, None when unknown. `headroom`: the unused share of the provider's own
    limits, 0 to 1.
    """

    id: str
    weight: float = 1.0
    load: int = 0
    latency: float | None = None
    input_price: float | None = None
    output_price: float | None = None
    headroom: float = 1.0
    tags: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Rule:
    """A condition on the request and the targets to try first, by id or tag, when it holds.

    Everything named must hold. `headers` maps lower-case names to a value, or `*` for any. `only`: no other target.
    """

    targets: tuple[str, ...]
    min_tokens: int | None = None
    max_tokens: int | None = None
    images: bool | None = None
    tools: bool | None = None
    tags: frozenset[str] = frozenset()
    headers: Mapping[str, str] = field(default_factory=dict)
    only: bool = False


class Facts(msgspec.Struct, frozen=True):
    """What routing may know of a request.

    `affinity`: what should keep going to the same target (a session, a conversation, the start of the prompt).
    `input_tokens` is an estimate; `output_tokens` what the answer may be long. `turn` counts the requests of this model.
    """

    affinity: str = ""
    input_tokens: int = 0
    output_tokens: int = 500
    images: bool = False
    tools: bool = False
    tags: frozenset[str] = frozenset()
    headers: Mapping[str, str] = {}
    turn: int = 0
    rules: tuple[Rule, ...] = ()
    chance: random.Random = msgspec.field(default_factory=random.Random)


Strategy = Callable[[Sequence[Option], Facts], list[int]]
