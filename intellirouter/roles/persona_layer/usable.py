"""What would make a persona fail each request that names it: told when it is written."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from intellirouter.chains.expr import references
from intellirouter.chat.openai_chat.format import FORMAT
from intellirouter.chat.options import RAG_FIELDS
from intellirouter.errors import InvalidRequest
from intellirouter.roles.persona_layer.persona import Persona

_RANGES = {"temperature": (0, 2), "top_p": (0, 1), "presence_penalty": (-2, 2), "frequency_penalty": (-2, 2)}
_WHOLE = {"top_k": 1, "max_tokens": 1, "seed": -(2**63)}
_VERBOSITY = ("low", "medium", "high")
_OURS = frozenset(("locale", "parts", "parent"))
"""Names that a prompt has besides its variables."""


def complaints(persona: Persona) -> Iterator[str]:
    """What is wrong with it, by its fields. All of it; what it inherits was looked at before."""
    for name, variable in persona.variables.items():
        where = f"variables.{name}"
        if variable.choices and variable.type not in ("string", "list"):
            yield f"{where}.choices: are strings, and a variable of type {variable.type} has none."
        elif variable.default is not None and (complaint := variable.complaint(variable.default)):
            yield f"{where}.default: {complaint}"
    for name, value in persona.defaults.items():
        if complaint := _of_default(name, value):
            yield f"defaults.{name}: {complaint}"
    for name in persona.rag or ():
        if name not in RAG_FIELDS:
            yield f"rag.{name}: is no field of it; its fields: {', '.join(RAG_FIELDS)}."
    if persona.rag and not (persona.rag.get("collections") or persona.rag.get("collection")):
        yield "rag.collections: is missing: what is to be searched."
    if persona.tools:
        try:
            body: dict[str, Any] = {"model": "x", "messages": [{"role": "user", "content": ""}]}
            FORMAT.decode_request({**body, "tools": list(persona.tools)}, {})
        except InvalidRequest as cause:
            yield f"tools: {cause.message}"
    if persona.extends is None:
        yield from undeclared(persona)


def undeclared(persona: Persona) -> Iterator[str]:
    """Names that its templates read and that nobody can give it; of one with all that it inherits."""
    templates = {"prompt": persona.prompt}
    templates |= {f"locales.{name}.prompt": locale.prompt for name, locale in persona.locales.items()}
    for number, turn in enumerate(persona.few_shot):
        templates |= {f"few_shot.{number}.user": turn.user, f"few_shot.{number}.assistant": turn.assistant}
    for field, template in templates.items():
        for name in sorted(references(template)[0] - persona.variables.keys() - _OURS):
            yield f"{field}: there is no variable '{name}': declare it under [variables.{name}]."


def _of_default(name: str, value: Any) -> str:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if name in _WHOLE and (type(value) is not int or value < _WHOLE[name]):
        return f"must be a whole number of {_WHOLE[name]} or more."
    if name in _RANGES and not (number and _RANGES[name][0] <= value <= _RANGES[name][1]):
        return f"must be a number from {_RANGES[name][0]} to {_RANGES[name][1]}."
    if name == "verbosity" and value not in _VERBOSITY:
        return f"must be one of: {', '.join(_VERBOSITY)}."
    return ""
