"""Whether an answer holds to a JSON schema. Imported by the first answer that has one: the library is not small."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, best_match

from intellirouter.errors import InvalidRequest


def complaint(schema: Mapping[str, Any], text: str) -> str | None:
    """What does not hold, in one line; None when all does. Raises `InvalidRequest` for a schema that is none."""
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return "it is not JSON"
    try:
        error = best_match(Draft202012Validator(dict(schema)).iter_errors(value))
    except SchemaError as cause:
        raise InvalidRequest(
            f"The persona's output_schema is no JSON schema: {cause.message[:200]}"
        ) from cause
    if error is None:
        return None
    where = "/".join(str(step) for step in error.absolute_path)
    return f"{where or 'the whole'}: {error.message[:300]}"
