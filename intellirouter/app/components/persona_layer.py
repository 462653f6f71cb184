"""The PersonaLayer's own components. Its modules, and the template engine with them, are imported only when it is opened."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import structlog

from intellirouter import tasks
from intellirouter.app.component import Component, Opened
from intellirouter.errors import ConfigError
from intellirouter.roles.keys import KEEPING
from intellirouter.roles.persona_layer.keys import SHELVES

if TYPE_CHECKING:
    from intellirouter.roles.persona_layer.shelves import Shelves

log = structlog.get_logger(__name__)


@contextlib.asynccontextmanager
async def _shelves(opened: Opened) -> AsyncIterator[Shelves]:
    section = opened.settings.persona_layer
    directory = section.personas_path or opened.settings.paths.data_dir / "personas"
    module = importlib.import_module("intellirouter.roles.persona_layer.shelves")
    shelves: Shelves = module.Shelves(directory, opened[KEEPING])
    try:
        shelves.open()
    except OSError as cause:
        raise ConfigError(
            f"persona_layer.personas_path: {directory} cannot be used ({cause.strerror})."
        ) from cause
    task = asyncio.create_task(_watch(shelves, section.reload_seconds), name="personas")
    try:
        yield shelves
    finally:
        await tasks.end(task)


async def _watch(shelves: Shelves, seconds: float) -> None:
    """Take files that others change."""
    while True:
        await asyncio.sleep(seconds)
        try:
            if await asyncio.to_thread(shelves.refresh):
                log.info("personas.reloaded", problems=sorted(shelves.problems))
        except OSError as error:
            log.warning(
                "personas.directory_unreadable", directory=str(shelves.directory), reason=error.strerror
            )


COMPONENTS = (Component(SHELVES, _shelves, (KEEPING,)),)
