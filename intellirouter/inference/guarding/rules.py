"""The guards that are configured, and those of one request."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from intellirouter.bounds.patterns import compiled
from intellirouter.config.schema.guards import GuardSection
from intellirouter.errors import ConfigError, IntelliRouterError, InvalidRequest
from intellirouter.guards.guard import Guard, made
from intellirouter.inference.catalog import Catalog
from intellirouter.inference.guarding.names import names_of, targets_of
from intellirouter.inference.job import Job

TO_MODEL = ("input", "tool_call", "tool_result")
"""Where a guard watches what goes to a model."""


class Guards:
    """All of them, in the order of the configuration, which is the order in which they act."""

    def __init__(self, sections: Sequence[GuardSection], catalog: Catalog) -> None:
        self._catalog = catalog
        self.all: tuple[Guard, ...] = ()
        self.prepare(sections)()

    def prepare(self, sections: Sequence[GuardSection]) -> Callable[[], None]:
        """What puts these in place of the last ones. Raises `ConfigError` for a pattern or a file of words that cannot be used."""
        return partial(self._take, tuple(map(built, sections)))

    def _take(self, guards: tuple[Guard, ...]) -> None:
        self.all = guards

    def of(self, job: Job) -> tuple[Guard, ...]:
        """The guards of one request. Raises `InvalidRequest` where it names one that is not there."""
        options = job.request.options
        named = options.guardrails if options is not None else ()
        known = {guard.name for guard in self.all}
        for name in named:
            if name not in known:
                raise InvalidRequest(f"There is no guard '{name}'.", param="guardrails")
        caller = job.caller
        guarded_as = options.guarded_as if options is not None else None
        personas = {job.persona, guarded_as["persona"] if guarded_as else ""}
        found = tuple(
            guard
            for guard in self.all
            if guard.scoped(key=caller.key_id, team=caller.team, personas=personas, named=named)
        )
        if any(guard.section.models for guard in found):
            names = names_of(self._catalog, job.request)
            found = tuple(guard for guard in found if guard.name in named or self._is_for(guard, job, names))
        return (*found, *job.guards)

    def _is_for(self, guard: Guard, job: Job, names: frozenset[str]) -> bool:
        """Whether a guard is for a model that the request may come to, by whatever name it was asked for."""
        return guard.is_for(names) or job.request.model in targets_of(self._catalog, guard.section.models)

    def shown(self) -> list[dict[str, Any]]:
        """For the administration; secrets are not told."""
        return [
            guard.section.model_dump(
                mode="json", exclude={"secret", "api_key", "words"}, exclude_defaults=True
            )
            for guard in self.all
        ]


def built(section: GuardSection) -> Guard:
    """The guard of a section. Raises `ConfigError`, naming the guard."""
    try:
        return made(section, compiled)
    except OSError as cause:
        raise ConfigError(
            f"guards.{section.name}: words_file cannot be read: {cause.strerror or cause}"
        ) from cause
    except (ValueError, IntelliRouterError) as cause:
        raise ConfigError(f"guards.{section.name}: {cause}") from cause
