"""How a configuration names the place of a secret."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

SCHEMES = ("vault", "aws-sm", "aws-ssm", "env", "file", "credential", "exec")
_SLASHED = ("vault", "aws-sm", "aws-ssm")


class SourceFailed(Exception):
    """A secret could not be read. The message says why, and nothing of the secret."""


@dataclass(frozen=True, slots=True)
class Value:
    """What a source answered. `seconds` until it must be read again; None: whenever. `lease` names what can be renewed."""

    text: str
    seconds: float | None = None
    lease: str = ""


@dataclass(frozen=True, slots=True)
class Reference:
    """A place: `vault://mount/path#field`. `words` are the program and its arguments of an `exec`."""

    scheme: str
    path: str
    field: str = ""
    words: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.scheme == "exec":  # arguments may hold what is nobody's business
            return f"exec:{self.words[0] if self.words else self.path.split(' ')[0]}"
        joint = "://" if self.scheme in _SLASHED else ":"
        return f"{self.scheme}{joint}{self.path}{f'#{self.field}' if self.field else ''}"


def reference(value: Any) -> Reference | None:
    """The place that a raw value of the configuration names; None for a secret as it stands. Raises `SourceFailed`."""
    if isinstance(value, dict):
        return _table(value)
    if not isinstance(value, str):
        return None
    text = value.strip()
    scheme, colon, rest = text.partition(":")
    if not colon or scheme not in SCHEMES:
        return None
    if scheme not in _SLASHED:
        return _checked(Reference(scheme, rest.strip()))
    if not rest.startswith("//"):
        return None
    path, _, field = rest[2:].partition("#")
    return _checked(Reference(scheme, path.strip("/") if scheme == "vault" else path, field))


def scheme_of(value: Any) -> str:
    """What kind of place a raw value of the configuration names; empty for a secret as it stands, and for what names none rightly."""
    try:
        found = reference(value)
    except SourceFailed:
        return ""
    return found.scheme if found is not None else ""


def _table(value: dict[str, Any]) -> Reference:
    field = value.get("field", "")
    kinds = [name for name in value if name != "field"]
    if len(kinds) != 1 or kinds[0] not in SCHEMES or not isinstance(field, str):
        raise SourceFailed(
            f'is a table of one of {", ".join(SCHEMES)}, as in {{ file = "/run/secrets/key" }}.'
        )
    scheme, place = kinds[0], value[kinds[0]]
    if (
        scheme == "exec"
        and isinstance(place, list)
        and place
        and all(isinstance(word, str) for word in place)
    ):
        return Reference(scheme, " ".join(place), "", tuple(place))
    if not isinstance(place, str):
        raise SourceFailed(f"the {scheme} of a secret is a text.")
    path, _, within = place.partition("#") if scheme in _SLASHED else (place, "", "")
    return _checked(Reference(scheme, path.strip("/") if scheme == "vault" else path, within or field))


def _checked(found: Reference) -> Reference:
    if not found.path:
        raise SourceFailed(f"{found.scheme}: names no place.")
    if found.scheme == "vault" and "/" not in found.path:
        raise SourceFailed("reads vault://mount/path#field.")
    return found
