"""A persona's file to a persona: TOML, or Markdown whose front matter is TOML (`+++`) or YAML (`---`)."""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Iterable, Mapping
from typing import Any

import tomli
from pydantic import ValidationError

from intellirouter.bounds import yamls
from intellirouter.bounds.schemas import BadSchema, schema
from intellirouter.chains.expr import BadExpression, check_template
from intellirouter.config.problem import dotted
from intellirouter.errors import InvalidRequest
from intellirouter.roles.persona_layer.persona import Persona
from intellirouter.roles.persona_layer.usable import complaints

EXTENSIONS = (".toml", ".md")
MAX_BYTES = 256 * 1024


class InvalidPersona(InvalidRequest):
    """A persona's file does not hold; the message lists every problem."""

    code = "invalid_persona"


def parse(text: str, extension: str, name: str, *, proven: bool = False) -> Persona:
    """The persona in `text`; its name is the file's unless the file says one. Raises `InvalidPersona`.

    The templates of a `proven` text, one that was parsed before, are not looked at again: that is most of the work.
    """
    if len(text) > MAX_BYTES:
        raise InvalidPersona(f"persona '{name}': is larger than {MAX_BYTES} characters.")
    data = _toml(text, name) if extension == ".toml" else _markdown(text, name)
    data.setdefault("name", name)
    try:
        persona = Persona.model_validate(data)
    except ValidationError as failure:
        problems = [
            f"persona '{name}': {dotted(tuple(error['loc']))}: {_words(error)}"
            for error in failure.errors(include_url=False, include_input=False)
        ]
        raise InvalidPersona("\n".join(problems)) from failure
    if not proven:
        _check_templates(persona)
        _check_schema(persona)
        refuse(name, complaints(persona))
    return persona


def refuse(name: str, problems: Iterable[str]) -> None:
    """Raises `InvalidPersona` that lists the problems, where there are any."""
    if told := [f"persona '{name}': {problem}" for problem in problems]:
        raise InvalidPersona("\n".join(told))


def _words(error: Mapping[str, Any]) -> str:
    """What pydantic says, and of a name that is no field what fields there are."""
    if error["type"] != "extra_forbidden":
        return str(error["msg"]).removeprefix("Value error, ")
    if len(error["loc"]) > 1:
        return "is no field here."
    near = difflib.get_close_matches(str(error["loc"][0]), Persona.model_fields, 1)
    said = f"did you mean '{near[0]}'?" if near else f"fields: {', '.join(Persona.model_fields)}."
    return f"is no field of a persona; {said}"


def _scalar(text: str, plain: bool) -> Any:
    """As YAML's core schema has it: words without quotes may be numbers, booleans or nothing."""
    if not plain:
        return text
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    if text in ("", "~") or text.lower() == "null":
        return None
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(text) if len(text) < 40 and "_" not in text else text
    return text


def _check_schema(persona: Persona) -> None:
    if persona.guardrails.output_schema is not None:
        try:
            schema(persona.guardrails.output_schema)
        except BadSchema as cause:
            raise InvalidPersona(
                f"persona '{persona.name}': guardrails.output_schema: {cause.message}"
            ) from cause


def _check_templates(persona: Persona) -> None:
    templates = {"prompt": persona.prompt}
    templates |= {f"locales.{name}.prompt": locale.prompt for name, locale in persona.locales.items()}
    for number, turn in enumerate(persona.few_shot):
        templates |= {f"few_shot.{number}.user": turn.user, f"few_shot.{number}.assistant": turn.assistant}
    for field, template in templates.items():
        try:
            check_template(template)
        except BadExpression as cause:
            raise InvalidPersona(f"persona '{persona.name}': {field}: {cause.message}") from cause


def _toml(text: str, name: str) -> dict[str, Any]:
    try:
        return tomli.loads(text)
    except tomli.TOMLDecodeError as cause:
        raise InvalidPersona(f"persona '{name}': is not TOML: {cause}.") from cause


def _markdown(text: str, name: str) -> dict[str, Any]:
    fence = text[:3]
    if fence not in ("+++", "---"):
        return {"prompt": text.strip()}
    head, closed, body = text[3:].partition(f"\n{fence}")
    if not closed:
        raise InvalidPersona(f"persona '{name}': the front matter is not closed with {fence}.")
    data = _toml(head, name) if fence == "+++" else _yaml(head, name)
    if "prompt" in data:
        raise InvalidPersona(
            f"persona '{name}': the prompt is the text below the front matter, not a field in it."
        )
    return data | {"prompt": body.strip()}


def _yaml(text: str, name: str) -> dict[str, Any]:
    try:
        data = yamls.read(text, _scalar).data
    except (yamls.BadYaml, RecursionError) as cause:
        where = f" (line {cause.line})" if isinstance(cause, yamls.BadYaml) and cause.line else ""
        raise InvalidPersona(f"persona '{name}': the front matter is not YAML: {cause}{where}") from cause
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise InvalidPersona(f"persona '{name}': the front matter must be a table of keys.")
    return data
