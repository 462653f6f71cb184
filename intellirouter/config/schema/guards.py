"""`[[guards]]`: what must not go in, come out, or be believed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, field_validator, model_validator

from intellirouter.config.schema.section import Section, SigningSecret

Kind = Literal[
    "pii", "email", "phone", "card", "iban", "national_id", "ip", "address", "secret", "keywords", "pattern", "injection",
    "invisible", "bidi", "control", "length", "language", "closing", "webhook", "judge", "moderation", "presidio",
]  # fmt: skip
On = Literal["input", "output", "tool_call", "tool_result", "passage"]
Action = Literal["block", "mask", "mask-restore", "flag", "route", "cut"]
PERSONAL = Literal["email", "phone", "card", "iban", "national_id", "ip", "address"]
ASKED = frozenset({"webhook", "judge", "moderation", "presidio"})
"""Kinds that ask somebody."""
MASKABLE = frozenset(
    (
        "pii",
        "email",
        "phone",
        "card",
        "iban",
        "national_id",
        "ip",
        "address",
        "secret",
        "keywords",
        "pattern",
        "injection",
        "presidio",
    )
)


class GuardSection(Section):
    """One guard. Without `models`, `keys`, `teams` and `personas` it is for every request."""

    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$", description="what answers, records and metrics call it"
    )
    kind: Kind = Field(
        description="what it looks for: pii (or one of its kinds), secret, keywords, pattern, injection, invisible, bidi, control, length, language; closing, to end every answer with message; or who is asked: webhook, judge, moderation, presidio"
    )
    on: tuple[On, ...] = Field(
        default=("input",),
        min_length=1,
        description="input (all that goes to the model), output, or only tool_call, tool_result, passage",
    )
    action: Action = Field(
        default="block",
        description="block; mask; mask-restore (the caller gets back what the model did not see); flag; route (to another model); cut (of length: a longer answer, at a word)",
    )
    mode: Literal["enforce", "monitor"] = Field(
        default="enforce", description="monitor: say what it would have done, and do nothing"
    )
    default: bool = Field(default=True, description="false: only for requests that name it in guardrails")
    models: tuple[str, ...] = Field(
        default=(),
        description="models that a request may come to, by any name, alias or target (provider/model), * for anything; empty: all",
    )
    keys: tuple[str, ...] = Field(default=(), description="ids of the API keys it is for; empty: all")
    teams: tuple[str, ...] = Field(default=(), description="teams it is for; empty: all")
    personas: tuple[str, ...] = Field(default=(), description="personas it is for; empty: with and without")
    detect: tuple[PERSONAL, ...] = Field(default=(), description="of pii, only these; empty: all")
    countries: tuple[str, ...] = Field(
        default=(), description="whose national numbers are known, as in US, DE; empty: those of many"
    )
    words: tuple[str, ...] = Field(
        default=(), max_length=100_000, description="of keywords: the words and phrases"
    )
    words_file: Path | None = Field(default=None, description="of keywords: a file with one on each line")
    patterns: tuple[str, ...] = Field(
        default=(), max_length=500, description="of pattern: regular expressions (RE2)"
    )
    max_characters: int | None = Field(
        default=None, ge=1, description="of length: the most, of all texts together"
    )
    allow: tuple[str, ...] = Field(
        default=(),
        max_length=200,
        description="of language: the languages a text may be in, as ISO 639-1 has them (en, de)",
    )
    route_to: str | None = Field(
        default=None, description="of route: the model that gets the request instead"
    )
    message: str | None = Field(
        default=None,
        max_length=500,
        description="what a caller is told when it is blocked; of closing: the words",
    )
    url: str | None = Field(
        default=None,
        description="of webhook: who is asked, by POST; of moderation: where {url}/moderations is, as in https://api.openai.com/v1; of presidio: where {url}/analyze is",
    )
    secret: SigningSecret | None = Field(
        default=None, description="of webhook: signs the question, HMAC-SHA256"
    )
    api_key: SecretStr | None = Field(
        default=None, description='of moderation and presidio: the key of the service, as "${VARIABLE}"'
    )
    model: str | None = Field(
        default=None,
        description="of judge: the model that is asked; of moderation: the one that the service takes",
    )
    categories: tuple[str, ...] = Field(
        default=(),
        max_length=200,
        description="of moderation: only these, as the service names them; empty: all",
    )
    threshold: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="of moderation: a score from which a text is found, beside the service's own flags; of presidio: the least score",
    )
    thresholds: dict[str, Annotated[float, Field(gt=0, le=1)]] = Field(
        default={},
        max_length=200,
        description="of moderation: the same for single categories, as in { violence = 0.4 }",
    )
    policy: str | None = Field(
        default=None, max_length=10_000, description="of judge: what is not allowed, in words"
    )
    language: str = Field(
        default="en",
        pattern=r"^[a-z]{2,3}$",
        description="of presidio: the language of the texts, as it is configured there",
    )
    entities: tuple[str, ...] = Field(
        default=(),
        max_length=200,
        description="of presidio: only these, as in PERSON, LOCATION; empty: all it knows",
    )
    timeout: float = Field(default=2.0, gt=0, le=60, description="seconds that who is asked has")
    on_error: Literal["open", "closed"] = Field(
        default="closed",
        description="when who is asked does not answer: closed blocks, open lets through",
    )

    @field_validator("countries")
    @classmethod
    def _upper(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for country in value:
            if len(country) != 2 or not country.isalpha():
                raise ValueError(f"'{country[:20]}' is no country code of two letters, such as DE")
        return tuple(country.upper() for country in value)

    @field_validator("allow")
    @classmethod
    def _lower(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for code in value:
            if len(code) != 2 or not code.isalpha():
                raise ValueError(f"'{code[:20]}' is no language code of two letters, such as de")
        return tuple(code.lower() for code in value)

    @model_validator(mode="after")
    def _whole(self) -> GuardSection:
        needs: dict[str, tuple[Any, str]] = {
            "keywords": (self.words or self.words_file, "words or words_file"),
            "pattern": (self.patterns, "patterns"),
            "length": (self.max_characters, "max_characters"),
            "language": (self.allow, 'allow, as in ["en", "de"]'),
            "webhook": (self.url, "url"),
            "moderation": (self.url, "url"),
            "presidio": (self.url, "url"),
            "judge": (self.model and self.policy, "model and policy"),
            "closing": (self.message, "message"),
        }
        given, names = needs.get(self.kind, (True, ""))
        if not given:
            raise ValueError(f"a guard of kind '{self.kind}' needs {names}")
        if self.action == "cut" and (self.kind != "length" or self.on != ("output",)):
            raise ValueError("action 'cut' is for a guard of kind 'length' with on = [\"output\"]")
        if self.url is not None and not self.url.startswith(("http://", "https://")):
            raise ValueError(f"url '{self.url[:60]}' is no address such as https://guard.example.org")
        if self.kind in ASKED and "passage" in self.on:
            raise ValueError(
                f"a guard of kind '{self.kind}' is not asked about passages: they go in with the input it sees"
            )
        if self.kind == "language" and "tool_call" in self.on:
            raise ValueError("a guard of kind 'language' does not read tool calls: they are in no language")
        if self.kind == "closing" and self.on != ("output",):
            raise ValueError("a guard of kind 'closing' follows answers: on = [\"output\"]")
        if self.action == "route" and not self.route_to:
            raise ValueError("action 'route' needs route_to, the model that gets the request instead")
        if self.action == "mask-restore" and self.kind not in MASKABLE:
            raise ValueError(
                f"what a guard of kind '{self.kind}' finds cannot be given back: use 'mask', 'block' or 'flag'"
            )
        if self.action in ("mask", "mask-restore") and self.kind in (
            "length",
            "language",
            "closing",
            "judge",
            "moderation",
        ):
            raise ValueError(
                f"a guard of kind '{self.kind}' finds no place that could be masked: use 'block', 'flag' or 'route'"
            )
        if self.action in ("mask-restore", "route") and not set(self.on) - {"output", "tool_call"}:
            raise ValueError(f"action '{self.action}' is for what goes to the model: add 'input' to on")
        return self
