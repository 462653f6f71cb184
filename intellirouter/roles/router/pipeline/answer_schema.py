"""Whether an answer holds to a JSON schema. Imported by the first answer that has one: the library is not small."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from intellirouter.bounds.fuel import OutOfFuel
from intellirouter.bounds.schemas import BadSchema
from intellirouter.bounds.schemas import schema as schema_of
from intellirouter.bounds.values import TooLarge
from intellirouter.errors import InvalidRequest


def complaint(schema: Mapping[str, Any], text: str) -> str | None:
    """What does not hold, in one line; None when all does. Raises `InvalidRequest` for a schema that is none."""
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return "it is not JSON"
    try:
        return schema_of(dict(schema)).complaint(value)
    except BadSchema as cause:
        raise InvalidRequest(f"The persona's output_schema: {cause.message}") from cause
    except (OutOfFuel, TooLarge):
        return "it is too large to be held to the schema"
