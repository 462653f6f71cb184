"""Settings as dotted paths and printable values, secrets masked."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, SecretStr

MASK = "********"
_USERINFO = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://)[^/?#\s,]*@")
"""What stands before the host of an address: a name and a password."""


def flatten(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted path and printable value of every leaf, secrets masked."""
    if isinstance(value, SecretStr):
        yield path, MASK
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from flatten(getattr(value, name), f"{path}.{name}" if path else name)
    elif isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from flatten(inner, f"{path}.{name}")
    elif isinstance(value, tuple) and any(isinstance(item, (BaseModel, SecretStr)) for item in value):
        for index, item in enumerate(value):
            yield from flatten(item, f"{path}[{index}]")
    else:
        yield path, _plain(value)


def _plain(value: Any) -> Any:
    """A leaf as JSON has it."""
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(name): _plain(item) for name, item in value.items()}
    return without_names(str(value))


def without_names(text: str) -> str:
    """A text, with a mask for the name and password of each address in it."""
    return _USERINFO.sub(rf"\g<1>{MASK}@", text)


def secrets(value: Any) -> Iterator[str]:
    """Every secret that the settings hold, in clear: for a redactor and for nothing else."""
    if isinstance(value, SecretStr):
        if value.get_secret_value():
            yield value.get_secret_value()
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from secrets(getattr(value, name))
    elif isinstance(value, dict):
        for inner in value.values():
            yield from secrets(inner)
    elif isinstance(value, (tuple, list)):
        for inner in value:
            yield from secrets(inner)
