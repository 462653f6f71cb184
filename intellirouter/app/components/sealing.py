"""Encryption of what a node keeps in its store: whether its keys are those it was encrypted with, and the store with it."""

from __future__ import annotations

from collections.abc import Iterable

import structlog

from intellirouter.config.schema.security import SecuritySection
from intellirouter.errors import StateError
from intellirouter.memory.sealed import SealedStore
from intellirouter.memory.store import StateStore
from intellirouter.security.key_names import check, decoded, encoded
from intellirouter.security.sealing import sealer_of

log = structlog.get_logger(__name__)

KEY = "security:keys"
"""In the store, so that a copy of it alone is known to be encrypted, and with what."""


async def sealed(store: StateStore, section: SecuritySection) -> StateStore:
    """The store as the configuration wants it kept. Raises `ConfigError`."""
    sealer = sealer_of(section)
    try:
        value = await store.get(KEY)
        names = decoded(value) if value is not None else []
        check(names, sealer, "the shared store")
        if sealer is not None and sealer.current_name not in names:
            await mark(store, [*names, sealer.current_name])
    except StateError as error:  # no reason not to start: what has another key is refused when it is read
        log.warning("sealing.not_checked", reason=error.message)
    return store if sealer is None else SealedStore(store, sealer)


async def mark(store: StateStore, names: Iterable[str]) -> None:
    """Say with which keys the store's values are encrypted."""
    await store.set(KEY, encoded(names))
