"""The parts of a definition that passed its schema, as the model has them: times and sizes, retries, limits, inputs."""

from __future__ import annotations

from typing import Any

from intellirouter.chains.model import Input, Limits, Retry
from intellirouter.chains.schema import (
    ASKING,
    EFFECTS,
)

_UNITS = {"ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
_SIZES = {"B": 1, "kB": 1_000, "KB": 1_000, "MB": 1_000_000, "KiB": 1_024, "MiB": 1_048_576}


def seconds(value: float | str) -> float:
    """`30s`, `10m` or a number, in seconds."""
    if not isinstance(value, str):
        return float(value)
    unit = "ms" if value.endswith("ms") else value[-1]
    return float(value.removesuffix(unit)) * _UNITS[unit]


def size(value: int | str) -> int:
    """`200kB`, `1MiB` or a number, in bytes."""
    if not isinstance(value, str):
        return value
    digits = value.rstrip("BkKMi")
    return int(digits) * _SIZES[value[len(digits) :]]


def plain_spec(kind: str, spec: Any) -> dict[str, Any]:
    """What a step of this kind is told, with times in seconds."""
    if kind == "sleep":
        return {"seconds": seconds(spec)}
    if kind == "wait":
        found = {**spec, **({"timeout": seconds(spec["timeout"])} if "timeout" in spec else {})}
        if "escalate" in spec:
            found["escalate"] = {**spec["escalate"], "after": seconds(spec["escalate"]["after"])}
        return found
    return spec if isinstance(spec, dict) else {}


def retry_of(entry: dict[str, Any] | None, base: Retry | None = None) -> Retry:
    """How often a step is tried; what is not given is as in `base`."""
    base, entry = base or Retry(), entry or {}
    return Retry(
        attempts=entry.get("attempts", base.attempts),
        delay=seconds(entry.get("delay", base.delay)),
        factor=entry.get("factor", base.factor),
        max=seconds(entry.get("max", base.max)),
        errors=tuple(entry.get("errors", base.errors)),
    )


def limits_of(given: dict[str, Any], base: Limits | None = None) -> Limits:
    """What a step or a chain may take; what is not given is as in `base`."""
    base = base or Limits()
    return Limits(
        bytes=size(given["bytes"]) if "bytes" in given else base.bytes,
        cost=given.get("cost", base.cost),
        parallelism=given.get("parallelism"),
    )


def fitting(kind: str, base: Limits) -> Limits:
    """What of the limits by default can bound a step of this kind."""
    return Limits(
        bytes=base.bytes if kind in EFFECTS else None,
        cost=base.cost if kind in ASKING else None,
    )


def input_of(entry: dict[str, Any]) -> Input:
    """An input of a chain."""
    return Input(
        entry["type"],
        "default" not in entry,
        entry.get("default"),
        {k: v for k, v in entry.items() if k != "default"},
    )
