"""The guards that are configured, and those of one request."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from intellirouter.bounds.patterns import compiled
from intellirouter.config.schema.guards import GuardSection
from intellirouter.errors import ConfigError, IntelliRouterError, InvalidRequest
from intellirouter.guards.guard import Guard, made
from intellirouter.inference.job import Job


class Guards:
    """All of them, in the order of the configuration, which is the order in which they act."""

    def __init__(self, sections: Sequence[GuardSection] = ()) -> None:
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
        return tuple(
            guard
            for guard in self.all
            if guard.scoped(
                model=job.request.model, key=caller.key_id, team=caller.team, persona=job.persona, named=named
            )
        )

    def shown(self) -> list[dict[str, Any]]:
        """For the administration; secrets are not told."""
        return [
            guard.section.model_dump(mode="json", exclude={"secret", "words"}, exclude_defaults=True)
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
