"""Typed reading of a client's JSON object: a wrong type becomes a clear error that names the field.

The readers take the object, the key and the path of the object (`messages[2].content`), and treat `null` as
absent, as every vendor does.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NoReturn

from intellirouter.bounds import names
from intellirouter.errors import InvalidRequest

Json = dict[str, Any]
MOST = 1 << 64
"""Whole numbers are less: JSON writes some of four thousand digits, with which nothing can be reckoned."""


def at(path: str, key: str) -> str:
    """The dotted path of `key` in the object at `path`."""
    return f"{path}.{key}" if path else key


def shown(value: object) -> str:
    """A value's JSON type, for messages; never the value itself."""
    names = {bool: "a boolean", int: "an integer", float: "a number", str: "a string", list: "an array"}
    return "null" if value is None else names.get(type(value), "an object")


def wrong(path: str, expected: str, value: object) -> NoReturn:
    """Raise for a value of the wrong type."""
    raise InvalidRequest(f"'{path}' must be {expected}, not {shown(value)}.", param=path)


def _too_large(path: str) -> NoReturn:
    raise InvalidRequest(f"'{path}' is a number of more than 64 bits.", param=path)


def missing(path: str) -> NoReturn:
    """Raise for an absent required field."""
    raise InvalidRequest(f"Missing required field: '{path}'.", param=path)


def text(data: Mapping[str, Any], key: str, path: str = "") -> str | None:
    """A string, or None."""
    value = data.get(key)
    if value is None or type(value) is str:
        return value
    wrong(at(path, key), "a string", value)


def required_text(data: Mapping[str, Any], key: str, path: str = "") -> str:
    """A non-empty string."""
    value = text(data, key, path)
    if not value:
        missing(at(path, key))
    return value


def name(data: Mapping[str, Any], key: str, path: str = "") -> str | None:
    """A name or id of at most 256 characters, or None."""
    return names.name(text(data, key, path), at(path, key))


def required_name(data: Mapping[str, Any], key: str, path: str = "") -> str:
    """A non-empty name or id of at most 256 characters."""
    return names.name(required_text(data, key, path), at(path, key))


def name_list(data: Mapping[str, Any], key: str, path: str = "") -> tuple[str, ...]:
    """A name or an array of names; empty when absent."""
    return tuple(names.names(strings(data, key, path), at(path, key)))


def labels(data: Mapping[str, Any], key: str, path: str = "") -> Json | None:
    """An object whose keys are names, or None."""
    value = mapping(data, key, path)
    if value is not None:
        names.metadata(value, at(path, key))
    return value


def integer(
    data: Mapping[str, Any], key: str, path: str = "", *, least: int | None = None, most: int | None = None
) -> int | None:
    """An integer within bounds, or None. A float without fraction counts, as some clients send 1.0."""
    value = data.get(key)
    if value is None:
        return None
    if type(value) is float and value.is_integer():
        value = int(value)
    if type(value) is not int:
        wrong(at(path, key), "an integer", value)
    if not -MOST < value < MOST:
        _too_large(at(path, key))
    if (least is not None and value < least) or (most is not None and value > most):
        bounds = f"at least {least}" if most is None else f"between {least} and {most}"
        raise InvalidRequest(f"'{at(path, key)}' must be {bounds}.", param=at(path, key))
    return value


def number(data: Mapping[str, Any], key: str, path: str = "") -> float | None:
    """A number, or None."""
    value = data.get(key)
    if value is None or type(value) is float:
        return value
    if type(value) is not int:
        wrong(at(path, key), "a number", value)
    return value if -MOST < value < MOST else _too_large(at(path, key))


def boolean(data: Mapping[str, Any], key: str, path: str = "") -> bool | None:
    """A boolean, or None."""
    value = data.get(key)
    if value is None or type(value) is bool:
        return value
    wrong(at(path, key), "a boolean", value)


def mapping(data: Mapping[str, Any], key: str, path: str = "") -> Json | None:
    """An object, or None."""
    value = data.get(key)
    if value is None or type(value) is dict:
        return value
    wrong(at(path, key), "an object", value)


def array(data: Mapping[str, Any], key: str, path: str = "") -> list[Any] | None:
    """An array, or None."""
    value = data.get(key)
    if value is None or type(value) is list:
        return value
    wrong(at(path, key), "an array", value)


def objects(data: Mapping[str, Any], key: str, path: str = "") -> list[Json]:
    """An array of objects; empty when absent."""
    items = array(data, key, path) or []
    for position, item in enumerate(items):
        if type(item) is not dict:
            wrong(f"{at(path, key)}[{position}]", "an object", item)
    return items


def strings(data: Mapping[str, Any], key: str, path: str = "") -> tuple[str, ...]:
    """A string or an array of strings; empty when absent."""
    value = data.get(key)
    if value is None:
        return ()
    if type(value) is str:
        return (value,)
    if type(value) is not list:
        wrong(at(path, key), "a string or an array of strings", value)
    for position, item in enumerate(value):
        if type(item) is not str:
            wrong(f"{at(path, key)}[{position}]", "a string", item)
    return tuple(value)


def one_of(data: Mapping[str, Any], key: str, allowed: Collection[str], path: str = "") -> str | None:
    """One of a few words, or None."""
    value = text(data, key, path)
    if value is not None and value not in allowed:
        choices = ", ".join(sorted(allowed))
        raise InvalidRequest(f"'{at(path, key)}' must be one of: {choices}.", param=at(path, key))
    return value


def rest(data: Mapping[str, Any], known: Collection[str]) -> Json:
    """What a reader does not know, to be kept for targets of the same dialect."""
    return {key: value for key, value in data.items() if key not in known}
