"""What OpenAI's files and vector stores have in common: JSON answers, checked bodies, key-value maps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec
from aiohttp import web

from intellirouter.errors import InvalidRequest
from intellirouter.web.body import read_json

T = TypeVar("T")
MAX_PAIRS = 16
MAX_KEY = 64
MAX_VALUE = 512


def answer(body: object) -> web.Response:
    """200 with a JSON body."""
    return web.Response(body=msgspec.json.encode(body), content_type="application/json")


async def read_form(request: web.Request, kind: type[T]) -> T:
    """The JSON body as `kind`. Raises `InvalidRequest` that names the field."""
    try:
        return msgspec.convert(await read_json(request), kind)
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"{error}.") from error


def check_pairs(pairs: Mapping[str, Any], param: str, kinds: tuple[type, ...]) -> None:
    """OpenAI's bounds on metadata and attributes: 16 pairs, keys of 64 characters, strings of 512."""
    if len(pairs) > MAX_PAIRS:
        raise InvalidRequest(f"'{param}' has at most {MAX_PAIRS} pairs.", param=param)
    for key, value in pairs.items():
        if not 1 <= len(key) <= MAX_KEY:
            raise InvalidRequest(f"A key of '{param}' has 1 to {MAX_KEY} characters.", param=param)
        if not isinstance(value, kinds) or (isinstance(value, str) and len(value) > MAX_VALUE):
            names = ", ".join(kind.__name__ for kind in kinds)
            words = f"A value of '{param}' is of {names}; a string has at most {MAX_VALUE} characters."
            raise InvalidRequest(words, param=param)
