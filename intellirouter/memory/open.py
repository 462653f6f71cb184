"""Open the store that `[memory]` asks for."""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from intellirouter.config.schema.memory import MemorySection
from intellirouter.memory.embedded.store import EmbeddedStore
from intellirouter.memory.resilient import ResilientStore
from intellirouter.memory.store import StateStore

FILE = "state.db"


@asynccontextmanager
async def open_state(section: MemorySection, directory: Path) -> AsyncIterator[StateStore]:
    """The store, for as long as the context lasts. A Redis that is away is no reason not to start.

    Raises `StateUnavailable` when this node's own data directory cannot be written, `ConfigError` for an address
    that is none.
    """
    store: EmbeddedStore | ResilientStore
    if section.backend_type == "embedded":
        store = await EmbeddedStore(directory / FILE).open()
    else:
        # redis takes 100 ms to import, and most laptops never need it
        redis = importlib.import_module("intellirouter.memory.redis.store")
        store = await ResilientStore(redis.RedisStore(section), directory, section).open()
    try:
        yield store
    finally:
        await store.aclose()
