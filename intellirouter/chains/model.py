"""A chain, checked. Durations are in seconds; strings named as such are templates or expressions of `expr`."""

from __future__ import annotations

from typing import Any

import msgspec


class Retry(msgspec.Struct, frozen=True):
    """Try up to `attempts` times; wait `delay` × `factor`ⁿ, at most `max`. `errors` names what is worth another try."""

    attempts: int = 1
    delay: float = 0.5
    factor: float = 2.0
    max: float = 20.0
    errors: tuple[str, ...] = ("timeout", "rate_limit", "5xx")


class Limits(msgspec.Struct, frozen=True):
    """What a step may take: `bytes` of what it gives or fetches, US dollars with all it holds, and calls or bodies at once."""

    bytes: int | None = None
    cost: float | None = None
    parallelism: int | None = None


class Branch(msgspec.Struct, frozen=True):
    """A body of `switch` or `parallel`. `when` None: always."""

    do: tuple[Step, ...]
    when: str | None = None
    name: str = ""


class Step(msgspec.Struct, frozen=True):
    """One step. `kind` names what it does and `spec` is that kind's table; `do` and `branches` are bodies."""

    id: str
    kind: str
    spec: dict[str, Any] = {}
    do: tuple[Step, ...] = ()
    branches: tuple[Branch, ...] = ()
    when: str | None = None
    timeout: float = 30.0  # of one attempt
    within: float | None = (
        None  # of all that a step without attempts of its own holds; None: as long as it takes
    )
    retry: Retry = Retry()
    cache: float | None = None
    fallback: Step | None = None
    proceed: bool = False  # on_error: continue
    limits: Limits = Limits()


class Input(msgspec.Struct, frozen=True):
    """A declared input. Required when it has no default."""

    type: str
    required: bool = True
    default: Any = None
    schema: dict[str, Any] = {}


class Chain(msgspec.Struct, frozen=True):
    """A whole definition. `document` is the plain data it was made of: what a run carries and stores."""

    name: str
    steps: tuple[Step, ...]
    document: dict[str, Any]
    version: int = 1
    description: str = ""
    inputs: dict[str, Input] = {}
    output: dict[str, Any] | str | None = None
    max_parallel_steps: int | None = None
    timeout: float | None = None
