"""What the schema says of itself: a JSON Schema for editors, and the reference of every key for people.

Both are made from the pydantic models, so that a key, its default and its bounds are written down once.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from intellirouter.config.checking import model_in
from intellirouter.config.schema.settings import Settings

SCHEMA_ID = "intellirouter.schema.json"
_REFERENCE = {"type": "string", "pattern": r"\$\{[A-Za-z_][A-Za-z0-9_]*(:-[^}]*)?\}"}
"""`${VARIABLE}` may stand in place of any value."""
_MACHINES_OWN = {("PathsSection", "data_dir"): "the user's data folder, or /opt/intellirouter/data"}
"""Defaults that depend on the machine."""


def json_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a configuration file."""
    schema = Settings.model_json_schema()
    for name, table in schema["$defs"].items():
        _as_written(name, table)
    _as_written("Settings", schema)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_ID,
        **schema,
        "title": "IntelliRouter configuration",
    }


def _as_written(name: str, table: dict[str, Any]) -> None:
    """What the file may hold besides what the models do: references to the environment, and short forms."""
    for key, field in table.get("properties", {}).items():
        field.pop("title", None)
        if (name, key) in _MACHINES_OWN:
            field.pop("default", None)
        if name == "ModelSection" and key == "targets":
            items = field["items"]
            field["items"] = {"anyOf": [{"type": "string"}, items]}
        table["properties"][key] = _or_reference(field)
    table.pop("title", None)


def _or_reference(field: dict[str, Any]) -> dict[str, Any]:
    """A number, a switch or a choice may be read from the environment."""
    kinds = {option.get("type") for option in field.get("anyOf", [field])}
    if not kinds & {"integer", "number", "boolean"} and "enum" not in field:
        return field
    facts: dict[str, Any] = {key: field[key] for key in ("default", "description") if key in field}
    options = field.get("anyOf") or [{key: value for key, value in field.items() if key not in facts}]
    return {**facts, "anyOf": [*options, _REFERENCE]}


def tables() -> Iterator[tuple[str, type[BaseModel], bool]]:
    """Every table by its heading, its model, and whether there may be several: depth first, as in a file."""
    yield from _tables(Settings, "")


def _tables(model: type[BaseModel], path: str) -> Iterator[tuple[str, type[BaseModel], bool]]:
    for name, field in model.model_fields.items():
        inner = model_in(field.annotation)
        if inner is None:
            continue
        kind = str(field.annotation)
        several = "tuple[" in kind
        place = f"{path}.{name}" if path else name
        if "dict[" in kind:
            place += ".NAME"
        yield place, inner, several
        yield from _tables(inner, place)


def markdown() -> str:
    """The reference, a section for each table."""
    schema = Settings.model_json_schema()
    found = list(tables())
    headings = [("Top level", Settings)] + [
        (f"`[[{path}]]`" if several else f"`[{path}]`", model) for path, model, several in found
    ]
    parts = [
        "# Every configuration key",
        "",
        "Made from the schema by `python -m scripts.reference`; do not edit it. `intellirouter config schema` prints the same",
        "as a JSON Schema, and `schema.json` beside this file is it: an editor with TOML support completes and checks a file",
        "that begins with `#:schema ./schema.json`.",
        "",
        "Durations are in seconds and sizes in bytes, unless a key says otherwise. A key without a default is not set. In the",
        "environment `[server] port` is `INTELLIROUTER__SERVER__PORT`.",
        "",
        *(f"- [{heading}](#{_anchor(heading)})" for heading, _ in headings),
    ]
    for heading, model in headings:
        parts += ["", f"## {heading}", ""]
        if model is not Settings and (about := _about(model)):
            parts += [about, ""]
        parts += ["| key | value | default | what it says |", "|---|---|---|---|"]
        parts += list(_rows(model, schema))
    return "\n".join(parts) + "\n"


def _anchor(heading: str) -> str:
    """As GitHub makes it."""
    return re.sub(r"[^a-z0-9_ -]", "", heading.lower()).replace(" ", "-")


def _about(model: type[BaseModel]) -> str:
    """The docstring without the heading it repeats."""
    text = " ".join(inspect.cleandoc(model.__doc__ or "").split())
    text = re.sub(r"^`\[{1,2}[^`]*\]{1,2}`[:.,]?\s*", "", text)
    return text[:1].upper() + text[1:]


def _rows(model: type[BaseModel], schema: dict[str, Any]) -> Iterator[str]:
    defs = schema["$defs"]
    described = schema if model is Settings else defs[model.__name__]
    for name, field in model.model_fields.items():
        if model_in(field.annotation) is not None:
            continue  # a section of its own
        facts = described["properties"][name]
        kind = _kind(facts, defs)
        default = _MACHINES_OWN.get((model.__name__, name)) or _default(facts)
        if field.is_required():
            default = "(required)"
        yield f"| `{name}` | {_cell(kind)} | {_cell(default)} | {_cell(field.description or '')} |"


def _default(facts: dict[str, Any]) -> str:
    value = facts.get("default")
    if value is None or value in ([], {}) or isinstance(value, dict):
        return ""
    if facts.get("writeOnly"):
        return ""
    return f"`{json.dumps(value, ensure_ascii=False)}`"


def _kind(facts: dict[str, Any], defs: dict[str, Any]) -> str:
    if "$ref" in facts:
        return "table"
    if options := facts.get("anyOf"):
        kinds = [_kind(option, defs) for option in options if option.get("type") != "null"]
        return " or ".join(dict.fromkeys(kinds))
    if "enum" in facts:
        return ", ".join(f"`{word}`" for word in facts["enum"])
    if "const" in facts:
        return f"`{facts['const']}`"
    match facts.get("type"):
        case "array":
            return f"list of {_kind(facts.get('items', {}), defs)}"
        case "object":
            inner = facts.get("additionalProperties")
            return f"table of {_kind(inner, defs)} by name" if isinstance(inner, dict) else "table"
        case "boolean":
            return "true or false"
        case "integer" | "number" as word:
            return ("whole number" if word == "integer" else "number") + _bounds(facts)
        case "string":
            return {"password": "secret", "path": "path"}.get(facts.get("format", ""), "text")
    return "any value"


def _bounds(facts: dict[str, Any]) -> str:
    low, above = facts.get("minimum"), facts.get("exclusiveMinimum")
    high = facts.get("maximum")
    words = [f"≥ {low:,}" if low is not None else "", f"> {above:,}" if above is not None else ""]
    words.append(f"≤ {high:,}" if high is not None else "")
    told = ", ".join(word for word in words if word)
    return f" {told}" if told else ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
