"""Whether an answer is as it was asked to be. Pure; patterns and schemas are bounded."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

import msgspec

from intellirouter.bounds import patterns, schemas
from intellirouter.config.schema.groups import ValidationSection
from intellirouter.errors import IntelliRouterError
from intellirouter.inference.groups.forms import within_fence

_SCRIPTS = {
    "ja": re.compile("[\u3040-\u30ff]"),
    "ko": re.compile("[\uac00-\ud7af]"),
    "zh": re.compile("[\u4e00-\u9fff]"),
    "ru": re.compile("[\u0400-\u04ff]"),
    "ar": re.compile("[\u0600-\u06ff]"),
    "he": re.compile("[\u0590-\u05ff]"),
    "th": re.compile("[\u0e00-\u0e7f]"),
    "el": re.compile("[\u0370-\u03ff]"),
    "hi": re.compile("[\u0900-\u097f]"),
}
"""Scripts that say which language, the more particular first."""
_WORDS = {
    "en": "the and of to in is that it for was with as are this be on you not have but",
    "de": "der die und das ist nicht ein eine zu den von mit sich auf für dem auch wird sind",
    "fr": "le la les et des est une que dans pour qui pas sur au ne ce avec plus sont",
    "es": "el los las que y en es una por con para del se no como más pero su al",
    "it": "il che di e la per un non sono con una si gli della nel anche più questo",
    "pt": "o que de e do da em um para com não uma os no se na por mais as dos",
    "nl": "de het een van en is dat op te niet zijn voor met die er aan ook als",
}
_NAMES = {language: frozenset(words.split()) for language, words in _WORDS.items()}
LOOKED_AT = 20_000
_UNSURE = re.compile(
    r"\b(?:i(?:['’]m| am) not (?:sure|certain|able)|i (?:do not|don['’]t|can(?:no|['’])t) (?:know|answer|determine|say)|"
    r"(?:it is|it['’]s) (?:unclear|impossible to say)|not enough information|as an ai\b|i cannot)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Rules:
    """What `[model_registry.models.validation]` asks of an answer."""

    section: ValidationSection

    def complaint(self, text: str) -> str | None:
        """What does not hold, for the model to read; None when all does."""
        section = self.section
        if section.min_characters is not None and len(text) < section.min_characters:
            return f"it has {len(text)} characters, and at least {section.min_characters} are asked for"
        if section.max_characters is not None and len(text) > section.max_characters:
            return f"it has {len(text)} characters, and at most {section.max_characters} are asked for"
        if section.pattern is not None and not patterns.found_in(patterns.compiled(section.pattern), text):
            return f"the pattern {section.pattern} is not found in it"
        if section.language is not None and (found := language_of(text)) not in (section.language, None):
            return f"it is in the language '{found}', and '{section.language}' is asked for"
        return self._schema(text)

    def _schema(self, text: str) -> str | None:
        if self.section.json_schema is None:
            return None
        inside = within_fence(text)
        try:
            value = msgspec.json.decode(text if inside is None else inside)
        except (msgspec.DecodeError, RecursionError):
            return "it is not JSON"
        try:
            return schemas.schema(self.section.json_schema).complaint(value)
        except IntelliRouterError as error:
            return error.message


def language_of(text: str) -> str | None:
    """The language of a text by its script or its commonest words; None where too little tells."""
    text = text[:LOOKED_AT]
    letters = sum(map(str.isalpha, text))
    if not letters:
        return None
    for language, script in _SCRIPTS.items():
        if len(script.findall(text)) > letters * (0.1 if language == "ja" else 0.4):
            return language
    words = re.findall(r"[^\W\d_]+", text.casefold())
    counts = Counter({language: sum(word in common for word in words) for language, common in _NAMES.items()})
    (best, most), (_, second) = counts.most_common(2)
    return best if most >= 3 and most > second * 1.3 else None


def unsure(text: str) -> bool:
    """Whether an answer says itself that it is none."""
    return not text.strip() or _UNSURE.search(text[:2_000]) is not None
