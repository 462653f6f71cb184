"""JSON Schema (draft 2020-12) of strangers: nothing is fetched, patterns run in linear time, and the work is counted.

The library's defaults follow a `$ref` over the network, search patterns with Python's `re`, compare every item with every
other for `uniqueItems`, and know no end to schemas that name one another. Each keyword burns fuel here before it is applied
(`fuel.py`), and what only the network could answer is refused when the schema is given.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urldefrag, urljoin

import msgspec
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match
from jsonschema.validators import extend
from referencing import Registry
from referencing.exceptions import Unresolvable

from intellirouter.bounds.fuel import FULL, OutOfFuel, at_most, burn
from intellirouter.bounds.kept import BoundedMap
from intellirouter.bounds.patterns import BadPattern, compiled, found_in
from intellirouter.bounds.values import TooLarge, reading, weight
from intellirouter.errors import InvalidRequest

MAX_WEIGHT = 256_000
"""Of one schema."""
MAX_DEPTH = 64
_KEYWORD = 60  # units that the library takes to apply one keyword
_EACH = 8  # and for one member of an object or array, on top of what its own keywords take
_QUOTED = 6  # times the price of reading a value is what quoting it in an error costs
_MEMBERS = frozenset(
    "additionalProperties contains dependentSchemas items patternProperties prefixItems properties propertyNames "
    "unevaluatedItems unevaluatedProperties required dependentRequired".split()
)
_WHOLE = frozenset({"const", "enum", "uniqueItems"})
_ESCAPED = re.compile(r"\\(u[0-9A-Fa-f]{4}|[\s\S])")

Keyword = Callable[[Any, Any, Any, Any], Iterator[ValidationError] | None]


class BadSchema(InvalidRequest):
    """A JSON Schema does not hold, refers to something outside of itself, or needs more than is allowed."""

    code = "bad_schema"


def _pattern(text: Any) -> Any:
    """An ECMA pattern in RE2's spelling."""
    spelled = _ESCAPED.sub(
        lambda found: (
            f"\\x{{{found[1][1:]}}}" if len(found[1]) == 5 else "/" if found[1] == "/" else found[0]
        ),
        str(text),
    )
    return compiled(spelled)


def _on_pattern(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    del schema
    if validator.is_type(instance, "string") and not found_in(_pattern(value), instance):
        yield ValidationError(f"{instance[:100]!r} does not match {value!r}")


def _on_pattern_properties(
    validator: Any, value: Any, instance: Any, schema: Any
) -> Iterator[ValidationError]:
    del schema
    if not validator.is_type(instance, "object"):
        return
    for text, below in value.items():
        pattern = _pattern(text)
        for name, inner in instance.items():
            if found_in(pattern, name):
                yield from validator.descend(inner, below, path=name, schema_path=text)


def _on_additional_properties(
    validator: Any, value: Any, instance: Any, schema: Any
) -> Iterator[ValidationError]:
    if not validator.is_type(instance, "object"):
        return
    known = schema.get("properties", {})
    patterns = [_pattern(text) for text in schema.get("patternProperties", {})]
    more = [
        name
        for name in instance
        if name not in known and not any(found_in(pattern, name) for pattern in patterns)
    ]
    if validator.is_type(value, "object"):
        for name in more:
            yield from validator.descend(instance[name], value, path=name)
    elif not value and more:
        told = ", ".join(repr(name[:100]) for name in more[:10])
        yield ValidationError(f"Additional properties are not allowed ({told})")


def _on_unique_items(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    del schema
    if not value or not validator.is_type(instance, "array"):
        return
    seen: set[bytes] = set()
    for item in instance:
        key = msgspec.json.encode(_one_number(item), order="deterministic")
        if key in seen:
            yield ValidationError("the array has items that are equal")
            return
        seen.add(key)


def _one_number(value: Any) -> Any:
    """JSON knows one kind of number: 1.0 is 1."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_one_number(item) for item in value]
    return {name: _one_number(item) for name, item in value.items()} if isinstance(value, dict) else value


def _counted(name: str, keyword: Keyword) -> Keyword:
    def apply(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
        burn(_KEYWORD)
        if name in _MEMBERS and isinstance(instance, dict | list):
            burn(_EACH * len(instance))
        if name in _WHOLE:
            for _ in range(
                len(value) if isinstance(value, list) and isinstance(instance, dict | list) else 1
            ):
                reading(instance)
            burn(len(value) if isinstance(value, list) else 1)
        for error in keyword(validator, value, instance, schema) or ():
            reading(instance, _QUOTED)
            burn(_KEYWORD)
            yield error

    return apply


_OWN: dict[str, Keyword] = {
    "pattern": _on_pattern,
    "patternProperties": _on_pattern_properties,
    "additionalProperties": _on_additional_properties,
    "uniqueItems": _on_unique_items,
}
_extend: Any = extend
_Validator: Any = _extend(
    Draft202012Validator,
    {
        name: _counted(name, _OWN[name] if name in _OWN else cast("Keyword", keyword))
        for name, keyword in Draft202012Validator.VALIDATORS.items()
    },
)


@dataclass(frozen=True, slots=True)
class Schema:
    """A schema that holds, ready to judge values."""

    _validator: Any

    def complaint(self, value: Any) -> str | None:
        """What in the value does not hold, in one line; None when all does.

        Raises `BadSchema` for a reference that leads nowhere, `OutOfFuel` and `TooLarge` for more than can be judged.
        """
        with _readable(), at_most(FULL):
            weight(value)
            error = best_match(self._validator.iter_errors(value))
        if error is None:
            return None
        where = "/".join(str(step) for step in error.absolute_path)
        return f"{where or 'the whole'}: {error.message[:300]}"

    def errors(self, value: Any, most: int) -> list[ValidationError]:
        """The first `most` of everything that is wrong. Raises as `complaint`."""
        found = []
        with _readable(), at_most(FULL):
            for error in self._validator.iter_errors(value):
                found.append(error)
                if len(found) == most:
                    break
        return found


class _readable:  # noqa: N801  a context, used as a verb
    """What the library raises, in our words."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Unresolvable) or type(error).__name__ == "_WrappedReferencingError":
            raise BadSchema(
                f"The schema has a '$ref' that leads nowhere in it: {str(error)[:200]}."
            ) from error
        if isinstance(error, RecursionError):
            raise BadSchema("The schema or the value is nested too deeply, or refers to itself.") from error


_made: BoundedMap[bytes, Schema] = BoundedMap(entries=256, weight=4_000_000)


def schema(document: Any) -> Schema:
    """The schema of a stranger's document. Raises `BadSchema` that says what is wrong and where."""
    if not isinstance(document, Mapping | bool):
        raise BadSchema("A JSON Schema is an object, or true or false.")
    try:
        size = weight(document, MAX_WEIGHT, MAX_DEPTH)
    except TooLarge as cause:
        raise BadSchema(
            f"A JSON Schema holds at most {MAX_WEIGHT:,} characters, {MAX_DEPTH} deep."
        ) from cause
    key = msgspec.json.encode(document)
    found = _made.get(key)
    if found is None:
        found = _build(document)
        _made.put(key, found, 4 * size)
    return found


def trusted(document: Mapping[str, Any]) -> Schema:
    """A schema of our own, whose work is counted like any."""
    return Schema(_Validator(_without_dialect(document), registry=Registry()))


def _build(document: Any) -> Schema:
    _look_through(document)
    plain = _without_dialect(document)
    with _readable(), at_most(FULL):
        try:
            wrong = best_match(_META.iter_errors(plain))
        except OutOfFuel as cause:
            raise BadSchema("The JSON Schema is too large to be checked.") from cause
    if wrong is not None:
        raise BadSchema(f"This is no JSON Schema: {_place(wrong.absolute_path)}: {str(wrong.message)[:200]}.")
    validator = _Validator(plain, registry=Registry())
    if isinstance(plain, dict) and len(ids := list(_all(plain, "$id"))) <= ("$id" in plain):
        del ids
        for path, reference in _all(plain, "$ref"):
            _leads_somewhere(validator, path, reference)
    return Schema(validator)


def _leads_somewhere(validator: Any, path: tuple[Any, ...], reference: str) -> None:
    try:
        validator._resolver.lookup(reference)  # noqa: SLF001  the library keeps it private and has no other way to ask
    except Unresolvable as cause:
        raise BadSchema(f"{_place(path)}: '{reference[:100]}' leads nowhere in this schema.") from cause


def _without_dialect(document: Any) -> Any:
    """Without `$schema` at its root: by it the library would choose a validator that counts nothing."""
    if not isinstance(document, Mapping):
        return document
    return {name: value for name, value in document.items() if name != "$schema"}


def _look_through(document: Any) -> None:
    """Refuse what would leave the document: references, dialects, and patterns that are not linear."""
    known = {urldefrag(name).url for _, name in _all(document, "$id")} | {""}
    root = document.get("$id", "") if isinstance(document, Mapping) else ""
    root = root if isinstance(root, str) else ""
    for word in ("$ref", "$dynamicRef"):
        for path, reference in _all(document, word):
            address = urldefrag(reference).url
            if address not in known and urldefrag(urljoin(root, reference)).url not in known:
                raise BadSchema(
                    f"{_place(path)}: '{reference[:100]}' is not in this schema, and nothing is fetched: put it under "
                    "$defs and refer to it as '#/$defs/…'."
                )
    for path, _ in _all(document, "$schema"):
        if len(path) > 1:
            raise BadSchema(f"{_place(path)}: a dialect can be named at the root only.")
    patterned = any(True for _ in _named(document, "patternProperties"))
    for path, value in _named(document, "pattern"):
        if isinstance(value, str):
            _compiles(path, value)
    for path, value in _named(document, "patternProperties"):
        for text in value if isinstance(value, Mapping) else ():
            _compiles(path, text)
    if patterned and any(True for _ in _named(document, "unevaluatedProperties")):
        raise BadSchema("'unevaluatedProperties' together with 'patternProperties' is not supported.")


def _compiles(path: tuple[Any, ...], text: str) -> None:
    try:
        _pattern(text)
    except BadPattern as cause:
        raise BadSchema(f"{_place(path)}: {cause.message}") from cause


def _all(document: Any, word: str) -> Iterator[tuple[tuple[Any, ...], str]]:
    """Every text under that name, wherever it stands."""
    return ((path, value) for path, value in _named(document, word) if isinstance(value, str))


def _named(document: Any, word: str) -> Iterator[tuple[tuple[Any, ...], Any]]:
    stack: list[tuple[tuple[Any, ...], Any]] = [((), document)]
    while stack:
        path, value = stack.pop()
        if isinstance(value, Mapping):
            for name, inner in value.items():
                if name == word:
                    yield (*path, name), inner
                stack.append(((*path, name), inner))
        elif isinstance(value, list | tuple):
            stack.extend(((*path, number), inner) for number, inner in enumerate(value))


def _place(path: Any) -> str:
    return "/".join(str(step)[:64] for step in path) or "the schema"


_META: Any = _Validator(_without_dialect(Draft202012Validator.META_SCHEMA))
