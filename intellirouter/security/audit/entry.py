"""What one audit record says."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from intellirouter.config.redact import SECRET_NAME
from intellirouter.config.shown import MASK
from intellirouter.security.caller import Caller

Kind = Literal["administration", "sign-in", "refusal", "call", "system"]
Level = Literal["off", "minimal", "standard", "full"]

KINDS: Mapping[Level, frozenset[str]] = {
    "off": frozenset(),
    "minimal": frozenset({"administration", "sign-in", "system"}),
    "standard": frozenset({"administration", "sign-in", "system", "refusal"}),
    "full": frozenset({"administration", "sign-in", "system", "refusal", "call"}),
}
"""What each level writes down."""

MAX_TEXT = 512
MAX_CHANGE = 16_384
"""Bytes of what changed, as JSON; more is cut."""
_DEEPEST = 12


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One record. `at` in UTC; `change` is, by field, what was before and what is after, secrets masked.

    `outcome`: `ok`, `refused` (4xx), `failed` (5xx), `begun` (level full: what follows may change something), `away` (the client
    left before the answer).
    """

    at: str
    kind: Kind
    action: str
    who: str = ""
    key: str = ""
    tenant: str = ""
    team: str = ""
    via: str = ""
    address: str = ""
    role: str = ""
    method: str = ""
    path: str = ""
    on: str = ""
    change: dict[str, Any] = {}
    outcome: str
    status: int = 0
    error: str = ""
    request: str = ""
    note: str = ""


class Record(Entry, frozen=True, kw_only=True, omit_defaults=True):
    """An entry as it stands in a journal: `n` counts the node's records from 1, `signed` names the key of the macs."""

    n: int
    node: str
    signed: str
    prev: str
    mac: str


def now(at: float | None = None) -> str:
    """A time (Unix seconds; None: this moment) as records have it: `2026-11-20T08:15:00.123456Z`, which sorts as text."""
    moment = datetime.fromtimestamp(time.time() if at is None else at, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def text(value: object) -> str:
    """One line of at most `MAX_TEXT` characters."""
    line = str(value)[: MAX_TEXT + 1]
    line = line if line.isprintable() else "".join(c if c.isprintable() else "�" for c in line)
    return line if len(line) <= MAX_TEXT else f"{line[: MAX_TEXT - 1]}…"


def who(caller: Caller | None) -> dict[str, str]:
    """The fields of an entry that say who asked; empty for a stranger."""
    if caller is None:
        return {}
    return {
        "who": text(caller.key_id),
        "key": text(caller.ref),
        "tenant": text(caller.tenant),
        "team": text(caller.team or ""),
        "via": text(" ".join(sorted(caller.via))),
    }


def difference(
    before: Mapping[str, Any] | None, after: Mapping[str, Any] | None, clean: Callable[[str], str]
) -> dict[str, Any]:
    """By field `[before, after]` of what differs, masked; `clean` masks what is secret within a text.

    None is what was not there before, or is no more.
    """
    old, new = before or {}, after or {}
    changed = {
        text(field): [_shown(field, old.get(field), clean), _shown(field, new.get(field), clean)]
        for field in dict.fromkeys((*old, *new))
        if old.get(field) != new.get(field)
    }
    if len(msgspec.json.encode(changed)) <= MAX_CHANGE:
        return changed
    return {"fields": [None, [*changed][:100]], "cut": [None, f"longer than {MAX_CHANGE} bytes"]}


def _shown(field: str, value: Any, clean: Callable[[str], str], depth: int = 0) -> Any:
    """A value as JSON without secrets: a text under a name that means one is masked, whatever it is."""
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, Mapping) and depth < _DEEPEST:
        return {
            text(name): _shown(f"{field}.{name}", inner, clean, depth + 1) for name, inner in value.items()
        }
    if isinstance(value, (list, tuple, set, frozenset)) and depth < _DEEPEST:
        items = sorted(value, key=str) if isinstance(value, (set, frozenset)) else value
        return [_shown(field, inner, clean, depth + 1) for inner in items]
    if SECRET_NAME.search(field) or field.rpartition(".")[2].endswith(("sha256", "hash")):
        return MASK if str(value) else ""
    return clean(str(value))
