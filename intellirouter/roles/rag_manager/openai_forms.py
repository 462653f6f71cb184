"""What OpenAI's files and vector stores have in common: JSON answers, cursor pages, checked bodies, key-value maps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec
from aiohttp import web

from intellirouter.errors import InvalidRequest
from intellirouter.roles.rag_manager.catalog import Row
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


def page(
    request: web.Request, rows: Sequence[Row], shape: Callable[[Row], Row], most: int = 100, usual: int = 20
) -> Row:
    """One page of `rows`, which come oldest first: `limit`, `order`, `after` and `before` of the query.

    Source: OpenAI's API reference, "List vector stores".
    """
    query = request.query
    limit, order = query.get("limit", str(usual)), query.get("order", "desc")
    if not (limit.isascii() and limit.isdigit() and 1 <= int(limit[:9]) <= most):
        raise InvalidRequest(f"'limit' is 1 to {most}.", param="limit")
    if order not in ("asc", "desc"):
        raise InvalidRequest("'order' is asc or desc.", param="order")
    objects = [shape(row) for row in rows]
    if order == "desc":
        objects.reverse()
    start, end = 0, len(objects)
    if "after" in query:
        start = _place(objects, query["after"], "after") + 1
    if "before" in query:
        end = _place(objects, query["before"], "before")
    window = objects[start:end]
    shown = window[-int(limit) :] if "before" in query and "after" not in query else window[: int(limit)]
    return {
        "object": "list",
        "data": shown,
        "first_id": shown[0]["id"] if shown else None,
        "last_id": shown[-1]["id"] if shown else None,
        "has_more": len(shown) < len(window),
    }


def _place(objects: Sequence[Row], id_: str, param: str) -> int:
    for place, item in enumerate(objects):
        if item["id"] == id_:
            return place
    raise InvalidRequest(f"'{param}' names nothing in this list.", param=param)


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
