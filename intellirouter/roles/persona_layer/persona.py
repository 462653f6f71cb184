"""What a persona is."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator

from intellirouter.config.schema.section import Section

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "list": (list,),
}
Name = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,99}$")


class Variable(Section):
    """A value the prompt asks for. Without a default it must be given."""

    type: Literal["string", "integer", "number", "boolean", "list"] = "string"
    description: str = ""
    default: Any = None
    required: bool = False
    choices: tuple[str, ...] = ()
    max_length: int = Field(default=10_000, ge=1)

    def complaint(self, value: Any) -> str:
        """What is wrong with a value for it; empty where nothing is."""
        if not isinstance(value, _TYPES[self.type]) or (isinstance(value, bool) and self.type != "boolean"):
            return f"must be {'an' if self.type == 'integer' else 'a'} {self.type}."
        items = value if isinstance(value, list) else [value]
        if self.choices and any(item not in self.choices for item in items):
            return f"must be one of: {', '.join(self.choices)}."
        if isinstance(value, list) and not all(isinstance(item, (str, int, float)) for item in value):
            return "must be a list of texts and numbers."
        if isinstance(value, str | list) and sum(len(str(item)) for item in items) > self.max_length:
            return f"is longer than {self.max_length} characters."
        return ""


class FewShot(Section):
    """An example turn: what a user said and what the persona answered."""

    user: str
    assistant: str


class Guardrails(Section):
    """The persona's rules.

    A request that names a forbidden topic is answered with `refusal`, without a model. The others are told to the model with the
    prompt, and its answer is held to all of them; `output_schema` is the answer's JSON schema where the request asks for none.
    """

    forbidden_topics: tuple[str, ...] = ()
    refusal: str = "I cannot help with that."
    max_length: int | None = Field(default=None, ge=1, description="characters of an answer")
    disclaimer: str = ""
    output_schema: dict[str, Any] | None = None


class Locale(Section):
    """The prompt in another language."""

    prompt: str


class Persona(Section):
    """One persona as its file says it. `prompt` is a template; `defaults` are request fields where it is silent."""

    name: str = Name
    title: str = ""
    description: str = ""
    tags: tuple[str, ...] = ()
    extends: str | None = None
    prompt: str = ""
    locales: dict[str, Locale] = Field(default_factory=dict)
    variables: dict[str, Variable] = Field(default_factory=dict)
    few_shot: tuple[FewShot, ...] = ()
    model: str | None = None
    defaults: dict[str, Any] = Field(default_factory=dict)
    tools: tuple[dict[str, Any], ...] = ()
    rag: dict[str, Any] | None = None
    guardrails: Guardrails = Field(default_factory=Guardrails)

    @field_validator("defaults")
    @classmethod
    def _known(cls, value: dict[str, Any]) -> dict[str, Any]:
        unknown = sorted(value.keys() - SETTABLE)
        if unknown:
            raise ValueError(f"cannot set {', '.join(unknown)}; it may set: {', '.join(sorted(SETTABLE))}")
        stop = value.get("stop", [])
        if not isinstance(stop, (list, tuple)) or not all(isinstance(word, str) for word in stop):
            raise ValueError("stop must be a list of strings")
        return value


SETTABLE = frozenset(
    {
        "temperature",
        "top_p",
        "top_k",
        "max_tokens",
        "presence_penalty",
        "frequency_penalty",
        "seed",
        "stop",
        "verbosity",
    }
)
"""Request fields a persona may set."""


def inherited(child: Persona, parent: Persona) -> Persona:
    """The child with what it does not say taken from its parent, whose prompt it may name as `{{ parent }}`.

    Rules add up: a child that sets one keeps the others of its parent. A prompt of the child's own stands in every language that
    the child does not have itself.
    """
    given = child.model_fields_set
    rules = {name: getattr(child.guardrails, name) for name in child.guardrails.model_fields_set}
    taken = {name: getattr(parent, name) for name in type(parent).model_fields if name not in given}
    return child.model_copy(
        update=taken
        | {
            "name": child.name,
            "tags": tuple(dict.fromkeys((*parent.tags, *child.tags))),
            "variables": {**parent.variables, **child.variables},
            "defaults": {**parent.defaults, **child.defaults},
            "locales": {**({} if "prompt" in given else parent.locales), **child.locales},
            "guardrails": parent.guardrails.model_copy(update=rules),
        }
    )
