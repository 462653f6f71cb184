"""JSON Schemas as a target takes them.

What a target has no keyword for goes into the description of the place it stood at, where a model reads it; what it
demands is added. A schema that is fine comes back as the very same object. Schemas come again with every request, so what
became of one is remembered by its bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from graphlib import CycleError, TopologicalSorter
from typing import Any

import msgspec

from intellirouter.chat.fields import Json
from intellirouter.chat.fit.takes import SchemaRules

MAX_DEPTH = 64
REMEMBERED_BYTES = 32 * 1024
_NAMED = ("properties", "$defs", "patternProperties", "dependentSchemas")
_LISTED = ("anyOf", "oneOf", "allOf", "prefixItems")
_NESTED = (
    "additionalProperties items not if then else propertyNames contains unevaluatedProperties "
    "unevaluatedItems contentSchema"
).split()
_TYPE_NAMES = {
    "str": "string",
    "text": "string",
    "int": "integer",
    "long": "integer",
    "float": "number",
    "double": "number",
    "bool": "boolean",
    "dict": "object",
    "map": "object",
    "list": "array",
    "none": "null",
}
"""Types as programs name them, which servers of tools hand on."""
_TYPES = frozenset("string integer number boolean object array null".split())
_SILENT = frozenset(
    {"$schema", "$id", "$comment", "$anchor", "id", "nullable", "examples", "readOnly", "writeOnly"}
)
_UNIONS = ("anyOf", "oneOf", "allOf")
_NESTING = frozenset((*_UNIONS, "not", "if", "then", "else"))
_OF_OBJECTS = frozenset(
    """properties required additionalProperties patternProperties propertyNames unevaluatedProperties dependentSchemas
    dependentRequired minProperties maxProperties""".split()
)
_OF_ARRAYS = frozenset(
    "items prefixItems contains unevaluatedItems minItems maxItems uniqueItems minContains maxContains".split()
)
"""Keywords that say nothing of a value of another type."""
_TOLD = 200
"""Characters of a keyword's value that are told in a description."""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Json).decode


class _Lossy(Exception):
    """The schema cannot be said to this target at all."""


def fit_schema(schema: Json, rules: SchemaRules) -> Json | None:
    """The schema as the target takes it: the same object where nothing is to be done, None where it cannot be said."""
    return fit_or_tell(schema, rules)[0]


def fit_or_tell(schema: Json, rules: SchemaRules) -> tuple[Json | None, bool]:
    """The same, and whether something of it stands only in a description now."""
    raw = _encode(schema)
    fitted, told = _remembered(raw, rules) if len(raw) <= REMEMBERED_BYTES else _fitted(raw, rules)
    if fitted is None:
        return None, False
    return (schema if fitted == raw else _decode(fitted)), told


def _fitted(raw: bytes, rules: SchemaRules) -> tuple[bytes | None, bool]:
    schema = msgspec.json.decode(raw)
    if not rules.recursive and _recurs(schema):
        return None, False
    told: list[str] = []
    try:
        return _encode(_top(schema, rules, told)), bool(told)
    except _Lossy:
        return None, False


_remembered = lru_cache(maxsize=1024)(_fitted)


def _top(schema: Json, rules: SchemaRules, lost: list[str]) -> Json:
    fitted: Json = _node(schema, rules, lost, 0)
    if rules.object_top and (fitted.get("type") != "object" or any(name in fitted for name in _UNIONS)):
        raise _Lossy
    if rules.whole_top and (
        any(name in fitted for name in (*_UNIONS, "enum", "not")) or fitted.get("type") != "object"
    ):
        fitted = _one_object(fitted)
    if rules.whole_top:
        fitted.setdefault("properties", {})
    return fitted


def _one_object(schema: Json) -> Json:
    """A union at the top as one object that holds the properties of all: what all demand is demanded."""
    properties = dict(_properties(schema))
    for name in _UNIONS:
        for branch in _branches(schema, name):
            for field, inner in _properties(branch).items():
                properties.setdefault(field, inner)
    wanted = _required(schema)
    for branch in _branches(schema, "allOf"):
        wanted |= _required(branch)
    for name in ("anyOf", "oneOf"):
        if demands := [_required(branch) for branch in _branches(schema, name)]:
            wanted |= set.intersection(*demands)
    left = (*_UNIONS, "enum", "not", "if", "then", "else")
    kept = {key: value for key, value in schema.items() if key not in left}
    kept |= {"type": "object", "properties": properties}
    if wanted & properties.keys():
        kept["required"] = [name for name in properties if name in wanted]
    return kept


def _branches(schema: Json, name: str) -> list[Json]:
    found = schema.get(name)
    return [branch for branch in found if isinstance(branch, dict)] if isinstance(found, list) else []


def _properties(schema: Json) -> Json:
    found = schema.get("properties")
    return found if isinstance(found, dict) else {}


def _required(schema: Json) -> set[str]:
    found = schema.get("required")
    return {name for name in found if isinstance(name, str)} if isinstance(found, list) else set()


def _node(schema: Any, rules: SchemaRules, lost: list[str], depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise _Lossy
    if isinstance(schema, bool):
        return schema if rules.boolean else {}
    if not isinstance(schema, dict):
        return schema
    fitted: Json = {}
    told: list[str] = []
    for key, value in _plain(schema, rules).items():
        if _refused(key, value, rules):
            if key not in _SILENT and key not in ("if", "then", "else", "not"):
                told.append(f"{key}: {_shown(value)}")
        elif key in _NAMED and isinstance(value, dict):
            fitted[key] = {name: _node(inner, rules, lost, depth + 1) for name, inner in value.items()}
        elif key in _LISTED and isinstance(value, list):
            fitted[key] = [_node(inner, rules, lost, depth + 1) for inner in value]
        elif key in _NESTED and isinstance(value, (dict, bool)):
            fitted[key] = (
                _node(value, rules, lost, depth + 1) if isinstance(value, dict) or key == "items" else value
            )
        else:
            fitted[key] = value
    if rules.bare_refs and "$ref" in fitted:
        return {"$ref": fitted["$ref"], **({"$defs": fitted["$defs"]} if "$defs" in fitted else {})}
    _complete(fitted, rules)
    told += _without_odd_names(fitted, rules)
    lost += told
    if told:
        fitted["description"] = f"{fitted.get('description') or ''} ({', '.join(told)})".strip()
    return fitted


def _plain(schema: Json, rules: SchemaRules) -> Json:
    """The schema in the words of the latest draft, and without what its author can have meant for no vendor."""
    plain = dict(schema)
    if "type" in plain:
        _name_types(plain)
    if isinstance(plain.get("definitions"), dict) and "$defs" not in plain:
        plain["$defs"] = plain.pop("definitions")
    if isinstance(ref := plain.get("$ref"), str) and ref.startswith("#/definitions/"):
        plain["$ref"] = "#/$defs/" + ref.removeprefix("#/definitions/")
    for bound, limit in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if isinstance(plain.get(bound), bool) and plain.pop(bound) and limit in plain:  # draft 4
            plain[bound] = plain.pop(limit)
    if isinstance(plain.get("items"), list):  # before 2020-12
        if first := plain.pop("items"):
            plain["prefixItems"] = first
        if isinstance(more := plain.pop("additionalItems", None), dict):
            plain["items"] = more
    if "required" in plain and not isinstance(plain["required"], list):  # draft 3
        del plain["required"]
    if rules.keywords is not None:
        _in_known_words(plain, rules)
    if not rules.type_lists and isinstance(plain.get("type"), list):
        return _as_union(plain)
    return plain


def _name_types(plain: Json) -> None:
    """Types by their proper names; a word that is none means any."""
    given = plain["type"]
    if isinstance(given, list):
        named = [known for kind in given if (known := _type_name(kind)) is not None]
    else:
        named = [known] if (known := _type_name(given)) is not None else []
    if not named:
        del plain["type"]
    else:
        plain["type"] = named if isinstance(given, list) else named[0]


def _type_name(kind: Any) -> str | None:
    word = kind.lower() if isinstance(kind, str) else ""
    return word if word in _TYPES else _TYPE_NAMES.get(word)


def _as_union(plain: Json) -> Json:
    """A list of types as a union of schemas that have one each."""
    kinds = list(dict.fromkeys(plain.pop("type")))
    if len(kinds) - ("null" in kinds) > 1 and not _NESTING.isdisjoint(plain):
        raise _Lossy  # each branch would hold all that is nested: twice as much with every level
    branches = [_branch(plain, kind) for kind in kinds]
    beside = {
        key: value for key, value in plain.items() if key in ("description", "title", "default", "$defs")
    }
    return branches[0] | beside if len(branches) == 1 else {**beside, "anyOf": branches}


def _branch(schema: Json, kind: str) -> Json:
    """What the schema says of one of its types: were each given all of it, lists within lists would double with every level."""
    left = {"description", "title", "default", "$defs"}
    left |= (_OF_OBJECTS if kind != "object" else set()) | (_OF_ARRAYS if kind != "array" else set())
    if kind == "null":
        return {"type": kind}
    return {**{key: value for key, value in schema.items() if key not in left}, "type": kind}


def _in_known_words(plain: Json, rules: SchemaRules) -> None:
    """What another keyword says as well."""
    known = rules.keywords or frozenset()
    if "const" in plain and "const" not in known:
        plain["enum"] = [plain.pop("const")]
    if "oneOf" in plain and "oneOf" not in known and "anyOf" not in plain:
        plain["anyOf"] = plain.pop("oneOf")
    if "allOf" in plain and "allOf" not in known and _branches(plain, "allOf") == plain["allOf"]:
        branches = plain.pop("allOf")
        if len(branches) == 1:
            for key, value in branches[0].items():
                plain.setdefault(key, value)
        else:
            plain.update(_one_object({**plain, "allOf": branches}))
    if "prefixItems" in plain and "prefixItems" not in known:
        first = _branches({"of": plain.pop("prefixItems")}, "of")
        plain.setdefault("items", {"anyOf": first} if len(first) > 1 else (first[0] if first else {}))
    if plain.get("nullable") is True and isinstance(plain.get("type"), str):
        plain["type"] = [plain["type"], "null"]
    if not rules.any_enum and isinstance(words := plain.get("enum"), list):
        kept = [word for word in words if word not in ("", None) and isinstance(word, (str, int, float))]
        plain["enum" if kept else "values"] = kept or words
        if not kept:
            del plain["enum"]


def _refused(key: str, value: Any, rules: SchemaRules) -> bool:
    if rules.keywords is None:
        return key == "$schema" and (rules.whole_top or rules.items is not None)
    if key not in rules.keywords:
        return True
    if key == "format":
        return rules.formats is not None and not (isinstance(value, str) and value in rules.formats)
    return (
        key == "minItems"
        and rules.item_counts is not None
        and not (isinstance(value, int) and value in rules.item_counts)
    )


def _shown(value: Any) -> str:
    words = _encode(value).decode()
    return words if len(words) <= _TOLD else f"{words[:_TOLD]}…"


def _complete(schema: Json, rules: SchemaRules) -> None:
    """What the target demands of every object and every array."""
    kinds = schema.get("type")
    is_object = kinds == "object" or "properties" in schema
    if is_object and rules.closed:
        if not schema.get("properties") and schema.get("additionalProperties") is not False:
            raise _Lossy  # a map of any names
        schema["additionalProperties"] = False
    if rules.defined_only and isinstance(names := schema.get("required"), list):
        known = _properties(schema)
        schema["required"] = [name for name in names if isinstance(name, str) and name in known]
        if not schema["required"]:
            del schema["required"]
    is_array = kinds == "array" or (isinstance(kinds, list) and "array" in kinds)
    if is_array and rules.items is not None and not {"items", "prefixItems"} & schema.keys():
        schema["items"] = {"type": rules.items} if rules.items else {}


def _without_odd_names(schema: Json, rules: SchemaRules) -> list[str]:
    """Properties whose names the target does not take are told in words: an object may hold others than those it lists."""
    names = rules.property_names
    if names is None:
        return []
    odd = [name for name in _properties(schema) if names.fullmatch(name) is None]
    if not odd:
        return []
    if rules.closed:
        raise _Lossy
    properties, wanted = dict(_properties(schema)), _required(schema)
    told = [
        f"property {_shown(name)}{', required' if name in wanted else ''}: {_shown(properties.pop(name))}"
        for name in odd
    ]
    schema["properties"] = properties
    if schema.get("additionalProperties") is False:
        del schema["additionalProperties"]
    if wanted:
        gone = frozenset(odd)
        schema["required"] = [name for name in schema["required"] if name not in gone]
    return told


def _recurs(schema: Json) -> bool:
    """Whether a definition holds itself, by whatever way."""
    defined = {
        f"#/{holder}/{name}": inner
        for holder in ("$defs", "definitions")
        if isinstance(schema.get(holder), dict)
        for name, inner in schema[holder].items()
    }
    holds = {name: set(_refs(inner)) & defined.keys() for name, inner in defined.items()}
    try:
        TopologicalSorter(holds).prepare()
    except CycleError:
        return True
    return "#" in set(_refs(schema))


def _refs(node: Any) -> Iterator[str]:
    """Every `$ref` in it."""
    open_nodes = [node]
    while open_nodes:
        found = open_nodes.pop()
        if isinstance(found, dict):
            if isinstance(ref := found.get("$ref"), str):
                yield ref
            open_nodes.extend(found.values())
        elif isinstance(found, list):
            open_nodes.extend(found)
