"""Schemas as targets take them: what is changed and how, and that nothing a stranger writes breaks it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from intellirouter.chat.fit.schemas import fit_or_tell, fit_schema
from intellirouter.providers.takes import TAKES

OPENAI = TAKES["openai"].tool_schema
GEMINI = TAKES["google"].tool_schema
CLOSED = TAKES["anthropic"].strict_schema
assert CLOSED is not None


CASES: list[tuple[str, Any, dict[str, Any], dict[str, Any] | None]] = [
    ("properties are added", OPENAI, {"type": "object"}, {"type": "object", "properties": {}}),
    (
        "an array says of what",
        OPENAI,
        {"type": "object", "properties": {"a": {"type": "array"}}},
        {"type": "object", "properties": {"a": {"type": "array", "items": {}}}},
    ),
    (
        "a union at the top is one object",
        OPENAI,
        {"type": "object", "anyOf": [{"properties": {"a": {}, "b": {}}, "required": ["a", "b"]}, {"properties": {"a": {}}, "required": ["a"]}]},
        {"type": "object", "properties": {"a": {}, "b": {}}, "required": ["a"]},
    ),
    (
        "bounds stand in the description, and no object is open",
        CLOSED,
        {"type": "object", "properties": {"n": {"type": "integer", "minimum": 1, "description": "how many"}}},
        {"type": "object", "properties": {"n": {"type": "integer", "description": "how many (minimum: 1)"}}, "additionalProperties": False},
    ),
    (
        "a list of types is a union",
        CLOSED,
        {"type": "object", "properties": {"a": {"type": ["string", "null"], "description": "x"}}, "additionalProperties": False},
        {"type": "object", "properties": {"a": {"description": "x", "anyOf": [{"type": "string"}, {"type": "null"}]}}, "additionalProperties": False},
    ),
    (
        "of a list of types each has what concerns it",
        CLOSED,
        {"type": "object", "properties": {"a": {"type": ["object", "array"], "properties": {"b": {"type": "string"}}, "items": {"type": "string"}}}, "additionalProperties": False},
        {"type": "object", "properties": {"a": {"anyOf": [{"type": "object", "properties": {"b": {"type": "string"}}, "additionalProperties": False}, {"type": "array", "items": {"type": "string"}}]}}, "additionalProperties": False},
    ),
    ("a map cannot be said", CLOSED, {"type": "object", "properties": {"m": {"type": "object", "additionalProperties": {"type": "string"}}}}, None),
    (
        "nor a recursion",
        CLOSED,
        {"type": "object", "properties": {"n": {"$ref": "#/$defs/n"}}, "$defs": {"n": {"type": "object", "properties": {"n": {"$ref": "#/$defs/n"}}}}},
        None,
    ),
    (
        "a constant is an enum, nothing stands beside a reference, what is required is there",
        GEMINI,
        {"type": "object", "properties": {"c": {"const": "x"}, "r": {"$ref": "#/definitions/d", "description": "y"}}, "definitions": {"d": {"type": "string"}}, "required": ["c", "gone"]},
        {"type": "object", "properties": {"c": {"enum": ["x"]}, "r": {"$ref": "#/$defs/d"}}, "required": ["c"], "$defs": {"d": {"type": "string"}}},
    ),
    (
        "what has to hold together is said at once",
        GEMINI,
        {"type": "object", "properties": {"a": {"description": "x", "allOf": [{"type": "string", "description": "y"}]}, "b": {"allOf": [{"type": "object", "properties": {"c": {"type": "string"}}}, {"type": "object", "properties": {"d": {"type": "string"}}}]}}},
        {"type": "object", "properties": {"a": {"description": "x", "type": "string"}, "b": {"type": "object", "properties": {"c": {"type": "string"}, "d": {"type": "string"}}}}},
    ),
    (
        "nor one through others",
        CLOSED,
        {"type": "object", "$defs": {"a": {"anyOf": [{"$ref": "#/$defs/b"}]}, "b": {"anyOf": [{"$ref": "#/$defs/c"}]}, "c": {"anyOf": [{"$ref": "#/$defs/a"}]}}},
        None,
    ),
    ("an empty word is none", GEMINI, {"type": "object", "properties": {"e": {"type": "string", "enum": ["", "a"]}}}, {"type": "object", "properties": {"e": {"type": "string", "enum": ["a"]}}}),
]  # fmt: skip


@pytest.mark.parametrize(("case", "rules", "schema", "expected"), CASES, ids=[case[0] for case in CASES])
def test_a_schema_is_made_to_fit(
    case: str, rules: Any, schema: dict[str, Any], expected: dict[str, Any] | None
) -> None:
    assert fit_schema(schema, rules) == expected, case
    if expected is not None:
        assert fit_schema(expected, rules) is expected, "what fits comes back as the same object"


@pytest.mark.parametrize("levels", [10, 25])
def test_lists_of_types_within_each_other_do_not_double_with_every_level(levels: int) -> None:
    inner: dict[str, Any] = {"type": "string"}
    for _ in range(levels):
        inner = {
            "type": ["object", "array", "null"],
            "properties": {"a": inner},
            "additionalProperties": False,
        }
    fitted = fit_schema({"type": "object", "properties": {"r": inner}}, CLOSED)
    assert str(fitted).count("'string'") == 1


def test_what_is_lost_but_for_its_description_is_said() -> None:
    assert fit_or_tell({"type": "object", "properties": {"a": {"type": "string", "maxLength": 3}}}, CLOSED)[1]
    assert not fit_or_tell({"type": "object", "properties": {"a": {"type": "string"}}}, CLOSED)[1]


KEYS = st.sampled_from(
    """type properties required items enum const anyOf oneOf allOf $ref $defs definitions format minItems additionalProperties
    prefixItems nullable description exclusiveMinimum minimum additionalItems default not""".split()
)
SCHEMAS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.sampled_from(["object", "array", "string", "", "#/$defs/a", "#"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(KEYS | st.sampled_from(["a", "b"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.dictionaries(KEYS, SCHEMAS, max_size=6), st.sampled_from([OPENAI, GEMINI, CLOSED]))
def test_no_schema_breaks_it(schema: dict[str, Any], rules: Any) -> None:
    fitted = fit_schema(schema, rules)
    assert fitted is None or isinstance(fitted, dict)
