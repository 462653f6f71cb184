"""What the library of JSON Schema does, with each keyword counted and the patterns linear. Imported when the first schema is applied: it takes a tenth of a second."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias, cast

import msgspec
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match
from jsonschema.validators import extend
from referencing import Registry
from referencing.exceptions import Unresolvable

from intellirouter.bounds.fuel import burn
from intellirouter.bounds.patterns import ecma, found_in
from intellirouter.bounds.values import reading

_KEYWORD = 60  # units that the library takes to apply one keyword
_EACH = 8  # and for one member of an object or array, on top of what its own keywords take
_QUOTED = 6  # times the price of reading a value is what quoting it in an error costs
_MEMBERS = frozenset(
    "additionalProperties contains dependentSchemas items patternProperties prefixItems properties propertyNames "
    "unevaluatedItems unevaluatedProperties required dependentRequired".split()
)
_WHOLE = frozenset({"const", "enum", "uniqueItems"})

Error: TypeAlias = ValidationError
Keyword = Callable[[Any, Any, Any, Any], Iterator[ValidationError] | None]


def _on_pattern(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    del schema
    if validator.is_type(instance, "string") and not found_in(ecma(value), instance):
        yield ValidationError(f"{instance[:100]!r} does not match {value!r}")


def _on_pattern_properties(
    validator: Any, value: Any, instance: Any, schema: Any
) -> Iterator[ValidationError]:
    del schema
    if not validator.is_type(instance, "object"):
        return
    for text, below in value.items():
        pattern = ecma(text)
        for name, inner in instance.items():
            if found_in(pattern, name):
                yield from validator.descend(inner, below, path=name, schema_path=text)


def _on_additional_properties(
    validator: Any, value: Any, instance: Any, schema: Any
) -> Iterator[ValidationError]:
    if not validator.is_type(instance, "object"):
        return
    known = schema.get("properties", {})
    patterns = [ecma(text) for text in schema.get("patternProperties", {})]
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
VALIDATOR: Any = _extend(
    Draft202012Validator,
    {
        name: _counted(name, _OWN[name] if name in _OWN else cast("Keyword", keyword))
        for name, keyword in Draft202012Validator.VALIDATORS.items()
    },
)
META: Any = VALIDATOR(
    {name: value for name, value in Draft202012Validator.META_SCHEMA.items() if name != "$schema"}
)


def validator(plain: Mapping[str, Any] | bool) -> Any:
    """What judges by that schema. Nothing is fetched for it."""
    return VALIDATOR(plain, registry=Registry())


def worst(judge: Any, value: Any) -> ValidationError | None:
    """The error that says most; None when all holds."""
    found: ValidationError | None = best_match(judge.iter_errors(value))
    return found


def leads_nowhere(error: BaseException | None) -> bool:
    """Whether it is about a reference that cannot be followed."""
    return isinstance(error, Unresolvable) or type(error).__name__ == "_WrappedReferencingError"
