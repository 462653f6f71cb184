"""The form of an approval as a web page without a script, made of its JSON Schema, and what was filled in as the payload."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from html import escape
from typing import Any

import msgspec

from intellirouter.errors import InvalidRequest

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:40rem;margin:2rem auto;padding:0 1rem;color:#1c2733}"
    "label{display:block;margin:1rem 0 .25rem;font-weight:600}input,select,textarea{width:100%;box-sizing:border-box;font:inherit;"
    "padding:.4rem;border:1px solid #8896a5;border-radius:4px}textarea{min-height:6rem}small{color:#5b6b7b}"
    "button{margin-top:1.5rem;font:inherit;padding:.5rem 1.5rem;border:0;border-radius:4px;background:#1f5fbf;color:#fff}"
    "pre{white-space:pre-wrap;background:#f6f8fa;padding:1rem;border-radius:4px}.e{color:#a01818}"
)
LONG = 200
"""Characters from which on a text has more than one line."""


def page(asked: Mapping[str, Any], problem: str = "") -> str:
    """The form. `asked` is an approval as `inbox` shows it."""
    fields = asked["form"].get("properties", {})
    required = asked["form"].get("required", ())
    body = [f"<h1>{escape(asked['title'])}</h1>"]
    if asked["message"]:
        body.append(f"<pre>{escape(asked['message'])}</pre>")
    if asked["assignee"]:
        body.append(f"<p>For {escape(asked['assignee'])}.</p>")
    if asked["until"] is not None:
        until = datetime.fromtimestamp(asked["until"], UTC).strftime("%Y-%m-%d %H:%M UTC")
        body.append(f"<p><small>Until {until}.</small></p>")
    if problem:
        body.append(f'<p class="e" role="alert">{escape(problem)}</p>')
    body.append('<form method="post">')
    body += [_field(name, schema, required=name in required) for name, schema in fields.items()]
    body.append('<button type="submit">Send</button></form>')
    return whole(asked["title"], "".join(body))


def whole(title: str, body: str) -> str:
    """A page."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f'<meta name="robots" content="noindex"><title>{escape(title)}</title><style>{_STYLE}</style></head><body><main>{body}</main></body></html>'
    )


def said(title: str, words: str) -> str:
    """A page that says one thing."""
    return whole(title, f"<h1>{escape(title)}</h1><p>{escape(words)}</p>")


def _field(name: str, schema: Any, *, required: bool) -> str:
    schema = schema if isinstance(schema, dict) else {}
    label = escape(str(schema.get("title", name)))
    hint = f"<small>{escape(str(schema['description']))}</small>" if "description" in schema else ""
    named = f'id="f-{escape(name)}" name="{escape(name)}"{" required" if required else ""}'
    choices = _choices(schema)
    if choices is not None:
        options = "".join(
            f'<option value="{escape(value)}"{" selected" if value == _given(schema) else ""}>{escape(text)}</option>'
            for value, text in choices
        )
        control = f'<select {named}><option value=""></option>{options}</select>'
    elif schema.get("type") in ("integer", "number"):
        step = "1" if schema["type"] == "integer" else "any"
        control = f'<input {named} type="number" step="{step}" value="{escape(_given(schema))}">'
    elif schema.get("type", "string") != "string" or schema.get("maxLength", 0) > LONG:
        control = f"<textarea {named}>{escape(_given(schema))}</textarea>"
    else:
        control = f'<input {named} value="{escape(_given(schema))}">'
    return f'<label for="f-{escape(name)}">{label}{" *" if required else ""}</label>{hint}{control}'


def _choices(schema: Mapping[str, Any]) -> list[tuple[str, str]] | None:
    if isinstance(schema.get("enum"), list):
        return [(_json(each), each if isinstance(each, str) else _json(each)) for each in schema["enum"]]
    if schema.get("type") == "boolean":
        return [("true", "yes"), ("false", "no")]
    return None


def _given(schema: Mapping[str, Any]) -> str:
    if "default" not in schema:
        return ""
    plain = isinstance(schema["default"], str) and "enum" not in schema
    return str(schema["default"]) if plain else _json(schema["default"])


def payload(form: Mapping[str, Any], filled: Mapping[str, str]) -> dict[str, Any]:
    """What was filled in, by the types of the form's fields; what was left empty is not there. Raises `InvalidRequest`."""
    found: dict[str, Any] = {}
    for name, schema in form.get("properties", {}).items():
        text = filled.get(name, "").replace("\r\n", "\n")
        if not text:
            continue
        schema = schema if isinstance(schema, dict) else {}
        if schema.get("type", "string") == "string" and "enum" not in schema:
            found[name] = text
            continue
        try:
            found[name] = msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError) as cause:
            raise InvalidRequest(
                f"'{schema.get('title', name)}' is not a {schema.get('type', 'value')}.", param=name
            ) from cause
    return found


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
