"""What OpenAI's files and vector stores have in common: JSON answers, checked bodies, key-value maps."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec
from aiohttp import web
from msgspec import inspect

from intellirouter.errors import InvalidRequest
from intellirouter.web.body import read_json

T = TypeVar("T")
_PATH = re.compile(r"at `\$\.([\w.\[\]]{1,256})`")
_UNKNOWN = re.compile(r"(?:unknown|required) field `([^`]{1,256})`")
MAX_PAIRS = 16
MAX_KEY = 64
MAX_VALUE = 512


def answer(body: object) -> web.Response:
    """200 with a JSON body."""
    return web.Response(body=msgspec.json.encode(body), content_type="application/json")


async def read_form(request: web.Request, kind: type[T]) -> T:
    """The JSON body as `kind`; `null` is as good as nothing where the field has no word for it. Raises `InvalidRequest` that names the field."""
    body = await read_json(request)
    with contextlib.suppress(msgspec.ValidationError):
        return msgspec.convert(body, kind)
    try:
        return msgspec.convert(_told(body, inspect.type_info(kind)), kind)
    except msgspec.ValidationError as error:
        words = str(error)
        path, unknown = _PATH.search(words), _UNKNOWN.search(words)
        names = [found[1] for found in (path, unknown) if found is not None]
        raise InvalidRequest(f"{words}.", param=".".join(names) or None) from error


def _told(value: Any, kind: inspect.Type) -> Any:
    """The value without the members of objects that say `null` to a field which cannot be that; lists are left as they are."""
    kinds = kind.types if isinstance(kind, inspect.UnionType) else (kind,)
    form = next((one for one in kinds if isinstance(one, inspect.StructType)), None)
    if form is None or not isinstance(value, dict):
        return value
    fields = {field.encode_name: field.type for field in form.fields}
    return {
        name: member if name not in fields else _told(member, fields[name])
        for name, member in value.items()
        if member is not None or name not in fields or _nullable(fields[name])
    }


def _nullable(kind: inspect.Type) -> bool:
    kinds = kind.types if isinstance(kind, inspect.UnionType) else (kind,)
    return any(isinstance(one, inspect.NoneType | inspect.AnyType) for one in kinds)


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
