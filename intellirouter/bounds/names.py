"""How long a name may be that a stranger gives: it becomes a key, a label, a row and a line of a log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from intellirouter.errors import InvalidRequest

MAX_NAME = 256
"""Characters of a name, an id, a tag, a user, or a key of metadata."""
MAX_NAMES = 256
"""Names in one list of a request."""

S = TypeVar("S", bound="str | None")


def name(value: S, path: str) -> S:
    """The name as it is. Raises `InvalidRequest` where it is longer than a name may be."""
    if value is None:
        return value
    if len(value) > MAX_NAME:
        raise InvalidRequest(
            f"'{path}' holds at most {MAX_NAME} characters; this one has {len(value):,}.", param=path
        )
    return value


def names(values: Sequence[str], path: str) -> Sequence[str]:
    """The list as it is. Raises `InvalidRequest`."""
    if len(values) > MAX_NAMES:
        raise InvalidRequest(
            f"'{path}' holds at most {MAX_NAMES} names; this one has {len(values):,}.", param=path
        )
    for number, value in enumerate(values):
        name(value, f"{path}[{number}]")
    return values


def metadata(values: Mapping[str, object], path: str) -> Mapping[str, object]:
    """Keys are names; how long a value may be is its field's. Raises `InvalidRequest`."""
    if len(values) > MAX_NAMES:
        raise InvalidRequest(
            f"'{path}' holds at most {MAX_NAMES} keys; this one has {len(values):,}.", param=path
        )
    for key in values:
        name(key, f"{path} key")
    return values
