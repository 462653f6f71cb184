"""The places of a raw configuration where the schema has a secret: nothing else is taken for a reference, and no other text runs a program."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args, get_origin

from pydantic import BaseModel, SecretStr

KeyPath = tuple[str | int, ...]


def secret_places(raw: Any, annotation: Any, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Any, str | int]]:
    """The path of each given secret, and the container and key it stands under. `annotation` is the type of `raw`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        for name, field in annotation.model_fields.items():
            if isinstance(raw, dict) and name in raw:
                yield from _within(raw, name, field.annotation, (*path, name))
        return
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is dict and isinstance(raw, dict):
        for name in raw:
            yield from _within(raw, name, inner[1], (*path, name))
    elif origin in (tuple, list) and isinstance(raw, list):
        for index in range(len(raw)):
            yield from _within(raw, index, inner[0], (*path, index))
    else:
        for other in inner:
            if other is not type(None) and not isinstance(other, str):
                yield from secret_places(raw, other, path)


def _within(
    container: Any, key: Any, annotation: Any, path: KeyPath
) -> Iterator[tuple[KeyPath, Any, str | int]]:
    if _is_secret(annotation):
        yield path, container, key
    else:
        yield from secret_places(container[key], annotation, path)


def _is_secret(annotation: Any) -> bool:
    """`SecretStr` itself, or one that may be absent."""
    kinds = [kind for kind in get_args(annotation) or (annotation,) if kind is not type(None)]
    return get_origin(annotation) not in (tuple, list, dict) and SecretStr in kinds
