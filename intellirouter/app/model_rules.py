"""Rules for groups of models and for guards: `rules.py` asks for them where a configuration has such."""

from __future__ import annotations

from collections.abc import Iterator

from intellirouter.bounds import patterns, schemas
from intellirouter.config.rules import Finding
from intellirouter.config.schema.groups import ValidationSection
from intellirouter.config.schema.model_registry import ModelSection
from intellirouter.config.schema.settings import Settings
from intellirouter.errors import ConfigError, InvalidRequest
from intellirouter.inference.guarding.rules import built
from intellirouter.inference.offline_transport import OFFLINE


def guard_errors(settings: Settings) -> Iterator[Finding]:
    """Guards that are named twice, patterns that are none, files of words that cannot be read, languages that cannot be told."""
    named: set[str] = set()
    for index, section in enumerate(settings.guards):
        path = ("guards", index)
        if section.name in named:
            yield (*path, "name"), f"there are two guards '{section.name}'"
        named.add(section.name)
        for place, pattern in enumerate(section.patterns):
            try:
                patterns.compiled(pattern)
            except InvalidRequest as error:
                yield (*path, "patterns", place), error.message
        if section.words_file is not None or section.kind == "language":
            try:
                built(section)
            except ConfigError as error:
                yield path, error.message


def group_errors(settings: Settings) -> Iterator[Finding]:
    """Members that are no models or are groups themselves, patterns and schemas that are none."""
    registry = settings.model_registry
    providers = {provider.name for provider in registry.providers} | {OFFLINE.name}
    groups = {
        name
        for model in registry.models
        if model.ensemble is not None or model.cascade is not None or model.validation is not None
        for name in (model.name, *model.aliases)
    }
    models = {name for model in registry.models for name in (model.name, *model.aliases)}
    for index, model in enumerate(registry.models):
        path = ("model_registry", "models", index)
        for place, name in _members(model):
            if name in groups:
                yield (*path, *place), f"'{name}' is a group, which cannot be a member of another."
            elif name not in models and name.partition("/")[0] not in providers:
                yield (*path, *place), f"there is no model or provider '{name}'."
        if model.validation is not None:
            yield from _validation((*path, "validation"), model.validation)


def _members(model: ModelSection) -> Iterator[tuple[tuple[str, str], str]]:
    if model.ensemble is not None:
        yield from ((("ensemble", "members"), name) for name in model.ensemble.members)
        if model.ensemble.judge is not None:
            yield ("ensemble", "judge"), model.ensemble.judge
    if model.cascade is not None:
        yield from ((("cascade", "steps"), name) for name in model.cascade.steps)
    if model.validation is not None and model.validation.judge is not None:
        yield ("validation", "judge"), model.validation.judge


def _validation(path: tuple[str | int, ...], section: ValidationSection) -> Iterator[Finding]:
    try:
        patterns.compiled(section.pattern or "")
    except InvalidRequest as error:
        yield (*path, "pattern"), error.message
    try:
        schemas.schema(section.json_schema or {})
    except InvalidRequest as error:
        yield (*path, "json_schema"), error.message
