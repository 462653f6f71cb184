"""What is said of a definition that does not fit its schema: what is wrong, and what would be right."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from intellirouter.bounds.nearest import nearest


def words(error: Any) -> str:
    """The validator's message, short."""
    if error.validator == "anyOf":
        return f"{str(error.instance)[:60]!r} is not of a form this takes: {error.schema.get('description', '')}".rstrip()
    return f"{str(error.message)[:200]}."


def near(name: str, known: Collection[str]) -> str:
    """The name that may be meant, or nothing."""
    close = nearest(name, known)
    return f"Did you mean '{close[0]}'?" if close else ""


def advice(error: Any) -> str:
    """What would fit in its place, or nothing."""
    if error.validator == "additionalProperties":
        known = error.schema["properties"]
        unknown = [key for key in error.instance if key not in known][:5]
        return next(filter(None, (near(key, known) for key in unknown)), "") or _shape(error.schema)
    return _shape(error.schema) if error.validator in ("type", "required") else ""


def _shape(schema: dict[str, Any]) -> str:
    """What is to stand there, in the schema's own words."""
    needed = schema.get("required", [])
    others = [name for name in schema.get("properties", {}) if name not in needed]
    said = [schema["description"]] if "description" in schema else []
    if schema.get("type") == "array":
        said.append("a list, in YAML with '- ' before each entry")
    if needed or others:
        perhaps = f"perhaps {', '.join(others)}" if others else ""
        said.append(f"it has {' and '.join(filter(None, (', '.join(needed), perhaps)))}")
    told = "; ".join(said)
    return f"{told[:1].upper()}{told[1:]}." if told else ""
