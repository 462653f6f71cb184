"""A persona made ready for one request: variables checked, prompt rendered, rules told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from intellirouter.chains.expr import render
from intellirouter.chat.model import Message
from intellirouter.chat.parts import Text
from intellirouter.errors import InvalidRequest, NotFound
from intellirouter.peers.contract import Call, ResolvedPersona
from intellirouter.roles.persona_layer.library import Entry, Library
from intellirouter.roles.persona_layer.persona import Guardrails, Persona, Variable
from intellirouter.roles.persona_layer.shelves import Shelves

LOCALE = "locale"
"""The variable that chooses a prompt's language, where the persona has it."""


class LocalPersonaResolver:
    """See `PersonaResolver`."""

    def __init__(self, shelves: Shelves) -> None:
        self._shelves = shelves

    async def resolve(self, name: str, variables: Mapping[str, Any], call: Call) -> ResolvedPersona:
        """See `PersonaResolver.resolve`. What is another tenant's does not exist."""
        if not call.caller.may_use_persona(name.partition("@")[0]):
            raise NotFound(f"There is no persona '{name[:100]}'.", param="persona")
        return resolved(await self._shelves.of(call.caller), name, variables)


def resolved(library: Library, name: str, variables: Mapping[str, Any]) -> ResolvedPersona:
    """One of a library's personas with these variables. Raises `NotFound`, `InvalidRequest`."""
    entry = library.get(name)
    return replace(resolve(entry, variables, library.parts), shared=library.is_shared(entry))


def resolve(entry: Entry, variables: Mapping[str, Any], parts: Mapping[str, str]) -> ResolvedPersona:
    """The persona with these variables. Raises `InvalidRequest` naming a variable that is missing or wrong."""
    persona = entry.whole
    values = checked(persona.variables, variables)
    locale = variables.get(LOCALE)
    if isinstance(locale, str):
        values[LOCALE] = locale
    template = in_language(persona, locale)
    names: dict[str, Any] = dict(values)
    if "parts" in template:
        names["parts"] = {name: render(text, values) for name, text in parts.items() if name in template}
    if "parent" in template:
        names["parent"] = render(in_language(entry.parent, locale) if entry.parent else "", values)
    prompt = "\n\n".join(
        text for text in (render(template, names).strip(), rules(persona.guardrails)) if text
    )
    messages = [Message("system", (Text(prompt),))] if prompt else []
    for turn in persona.few_shot:
        messages.append(Message("user", (Text(render(turn.user, values)),)))
        messages.append(Message("assistant", (Text(render(turn.assistant, values)),)))
    return ResolvedPersona(
        name=persona.name,
        version=entry.version,
        messages=tuple(messages),
        model=persona.model,
        defaults=persona.defaults,
        tools=persona.tools,
        rag=persona.rag,
        guardrails=persona.guardrails.model_dump(exclude_defaults=True, mode="json"),
    )


def in_language(persona: Persona, locale: object) -> str:
    """The prompt in that language, or the next wider one that there is: `de-AT`, then `de` (RFC 4647, lookup); else the prompt."""
    found = {name.lower().replace("_", "-"): said.prompt for name, said in persona.locales.items()}
    wanted = locale.lower().replace("_", "-") if isinstance(locale, str) else ""
    while wanted and wanted not in found:
        wanted = wanted.rpartition("-")[0]
    return found.get(wanted, persona.prompt)


def checked(declared: Mapping[str, Variable], given: Mapping[str, Any]) -> dict[str, Any]:
    """The variables with defaults filled in."""
    unknown = sorted(given.keys() - declared.keys() - {LOCALE})
    if unknown:
        known = ", ".join(sorted(declared)) or "none"
        raise _wrong(unknown[0], f"is not a variable of this persona (it has: {known}).")
    values: dict[str, Any] = {}
    for name, variable in declared.items():
        value: Any = given.get(name, variable.default)
        if value is None:
            if variable.required:
                raise _wrong(name, "is required.")
            values[name] = "" if variable.type == "string" else None
            continue
        if complaint := variable.complaint(value):
            raise _wrong(name, complaint)
        values[name] = value
    return values


def _wrong(name: str, what: str) -> InvalidRequest:
    path = f"persona_variables.{name[:100]}"
    return InvalidRequest(f"'{path}' {what}", param=path)


def rules(guardrails: Guardrails) -> str:
    """What the model is told of the persona's rules: the same words for every provider."""
    told = []
    if guardrails.forbidden_topics:
        topics = ", ".join(guardrails.forbidden_topics)
        told.append(f"Do not discuss: {topics}. If asked to, answer only: {guardrails.refusal}")
    if guardrails.max_length is not None:
        told.append(f"Keep every answer under {guardrails.max_length} characters.")
    if guardrails.disclaimer:
        told.append(f"End every answer with: {guardrails.disclaimer}")
    return "\n".join(told)
