"""Changes to the catalogue at run time: models added, targets drained. Kept in the shared store, followed by every node.

One versioned value holds all changes, so that two operators cannot undo each other's by accident. The configuration file
stays the ground; a model added here takes precedence over one of the same name there.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

import msgspec
import structlog
from pydantic import ValidationError

from intellirouter.config.schema.model_registry import ModelRegistrySection, ModelSection
from intellirouter.errors import InvalidRequest, NotFound
from intellirouter.inference.catalog import Catalog
from intellirouter.inference.following import following
from intellirouter.inference.provider import Provider
from intellirouter.inference.standing import Board
from intellirouter.memory.store import StateStore

KEY = "registry:changes"
CHANNEL = "admin:all:registry"

log = structlog.get_logger(__name__)


class Changes(msgspec.Struct, frozen=True):
    """`models` by name, in the form of the configuration file; `drained` names targets (`provider/model`) or providers."""

    models: dict[str, dict[str, Any]] = {}
    drained: frozenset[str] = frozenset()


def model_section(fields: dict[str, Any]) -> ModelSection:
    """A model as the configuration file would hold it. Raises `InvalidRequest` naming what is wrong."""
    try:
        return ModelSection.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise InvalidRequest(f"'{where}': {first['msg']}.", param=where) from error


class Registry:
    """Reads and writes the changes. Methods raise `StateUnavailable`."""

    def __init__(self, store: StateStore) -> None:
        self._store = store

    async def read(self) -> Changes:
        """The changes as they stand."""
        value = await self._store.get(KEY)
        return Changes() if value is None else msgspec.json.decode(value, type=Changes)

    async def add(self, fields: dict[str, Any]) -> ModelSection:
        """Add or replace a model. Raises `InvalidRequest`."""
        model = model_section(fields)
        await self._change(
            lambda now: msgspec.structs.replace(now, models={**now.models, model.name: fields})
        )
        return model

    async def remove(self, name: str) -> None:
        """Take back an added model. Raises `NotFound`; one of the configuration file is removed there."""

        def without(now: Changes) -> Changes:
            if name not in now.models:
                raise NotFound(f"No model '{name[:100]}' was added at run time.", param="name")
            return msgspec.structs.replace(now, models={k: v for k, v in now.models.items() if k != name})

        await self._change(without)

    async def drain(self, target: str, drained: bool) -> Changes:
        """Send a target, or every target of a provider, no new requests; or send it some again."""

        def changed(now: Changes) -> Changes:
            names = now.drained | {target} if drained else now.drained - {target}
            return msgspec.structs.replace(now, drained=names)

        return await self._change(changed)

    async def _change(self, change: Callable[[Changes], Changes]) -> Changes:
        while True:
            read = await self._store.get_versioned(KEY)
            now = Changes() if read.value is None else msgspec.json.decode(read.value, type=Changes)
            new = change(now)
            if await self._store.put_if(KEY, msgspec.json.encode(new), read.version) is not None:
                await self._store.publish(CHANNEL, b"")
                return new


class Follower:
    """Applies the changes to this process' catalogue and board."""

    def __init__(
        self,
        registry: Registry,
        catalog: Catalog,
        board: Board,
        section: ModelRegistrySection,
        providers: Iterable[Provider],
    ) -> None:
        self._registry = registry
        self._catalog = catalog
        self._board = board
        self._changes = Changes()
        self.configure(section, providers)

    def configure(self, section: ModelRegistrySection, providers: Iterable[Provider]) -> None:
        """A new configuration file: the changes are put on top of it."""
        self._section = section
        self._providers = list(providers)
        if self._changes.models:
            self._apply(self._changes)

    def _apply(self, changes: Changes) -> None:
        known = {provider.name for provider in self._providers}
        added = []
        for name, fields in changes.models.items():
            try:
                model = model_section(fields)
            except InvalidRequest as error:
                log.warning("registry.model_ignored", model=name, reason=error.message)
                continue
            unknown = [t.target for t in model.targets if t.target.partition("/")[0] not in known]
            if unknown:
                log.warning("registry.model_ignored", model=name, reason=f"no provider for {unknown[0]}")
                continue
            added.append(model)
        models = (*self._section.models, *added)
        self._catalog.configure(self._section.model_copy(update={"models": models}), self._providers)

    async def refresh(self) -> None:
        """Read and apply. Raises `StateUnavailable`."""
        changes = await self._registry.read()
        self._board.drained = changes.drained
        if changes.models != self._changes.models:
            self._changes = changes
            self._apply(changes)
            log.info("registry.applied", models=sorted(changes.models))

    @contextlib.asynccontextmanager
    async def following(self, store: StateStore) -> AsyncIterator[None]:
        """Stay up to date while the context is open."""
        async with following(store, CHANNEL, self.refresh, name="registry"):
            yield
