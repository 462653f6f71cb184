"""A decision whose outcome may still come, and the outcome: numbers and names, never texts."""

from __future__ import annotations

import hashlib
import time

import msgspec


class Evidence(msgspec.Struct, frozen=True):
    """One outcome on its way to whoever learns. `structure` and `slots` are the features as bytes; `key` is a hash.

    `cost` in US dollars is what the answer cost, where whoever tells of it knows.
    """

    id: str
    group: str
    target: str
    score: float
    kind: str
    prior: float
    propensity: float
    key: str
    structure: bytes
    slots: bytes
    at: float
    cost: float | None = None


class Kept(msgspec.Struct, frozen=True):
    """A decision whose outcome may still come, as it is kept for feedback."""

    request_id: str
    tenant: str
    group: str
    target: str
    prior: float
    propensity: float
    key: str
    structure: bytes
    slots: bytes
    response_id: str = ""


class News(msgspec.Struct, frozen=True):
    """What the listener is told: exactly one field is set."""

    kept: Kept | None = None
    evidence: Evidence | None = None
    stays: tuple[str, str] | None = None


def key_of(tenant: str, key_id: str) -> str:
    """A key as what is learnt may know it."""
    return hashlib.blake2b(f"{tenant}\0{key_id}".encode(), digest_size=8).hexdigest()


def evidence(kept: Kept, kind: str, score: float, name: str, cost: float | None = None) -> Evidence:
    """The outcome of a kept decision. `name` makes it one: the same name is learnt from once."""
    return Evidence(
        id=hashlib.blake2b(f"{kept.tenant}\0{name}".encode(), digest_size=8).hexdigest(),
        group=kept.group,
        target=kept.target,
        score=score,
        kind=kind,
        prior=kept.prior,
        propensity=kept.propensity,
        key=kept.key,
        structure=kept.structure,
        slots=kept.slots,
        at=time.time(),
        cost=cost,
    )
