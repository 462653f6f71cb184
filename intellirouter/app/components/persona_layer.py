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
from intellirouter.roles.persona_layer.keys import LIBRARY

if TYPE_CHECKING:
    from intellirouter.roles.persona_layer.library import Library

log = structlog.get_logger(__name__)


@contextlib.asynccontextmanager
async def _library(opened: Opened) -> AsyncIterator[Library]:
    section = opened.settings.persona_layer
    directory = section.personas_path or opened.settings.paths.data_dir / "personas"
    module = importlib.import_module("intellirouter.roles.persona_layer.library")
    library: Library = module.Library(directory)
    try:
        library.open()
    except OSError as cause:
        raise ConfigError(
            f"persona_layer.personas_path: {directory} cannot be used ({cause.strerror})."
        ) from cause
    task = asyncio.create_task(_watch(library, section.reload_seconds), name="personas")
    try:
        yield library
    finally:
        await tasks.end(task)


async def _watch(library: Library, seconds: float) -> None:
    """Take files that others change."""
    while True:
        await asyncio.sleep(seconds)
        try:
            if await asyncio.to_thread(library.refresh):
                log.info("personas.reloaded", problems=sorted(library.problems))
        except OSError as error:
            log.warning(
                "personas.directory_unreadable", directory=str(library.directory), reason=error.strerror
            )


COMPONENTS = (Component(LIBRARY, _library),)
