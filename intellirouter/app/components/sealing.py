"""Encryption of what a node keeps: whether its keys are those it was encrypted with, and the stores with it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import msgspec
import structlog

from intellirouter.config.schema.security import SecuritySection
from intellirouter.errors import ConfigError, StateError
from intellirouter.memory.sealed import SealedStore
from intellirouter.memory.store import StateStore
from intellirouter.security.sealing import Sealer, sealer_of

log = structlog.get_logger(__name__)

FILE = "security.json"
KEY = "security:keys"
"""In the store, so that a copy of it alone is known to be encrypted, and with what."""


def check_file(section: SecuritySection, data_dir: Path) -> None:
    """Raises `ConfigError` where what lies in the data directory was encrypted with a key that is not configured."""
    file, sealer = data_dir / FILE, sealer_of(section)
    try:
        names = _names(file.read_bytes())
    except FileNotFoundError:
        names = []
    check(names, sealer, str(data_dir))
    if sealer is not None and sealer.current_name not in names:
        write_file(data_dir, [*names, sealer.current_name])


def write_file(data_dir: Path, names: Iterable[str]) -> None:
    """Say with which keys the data directory is encrypted. Whole, or not at all."""
    part = data_dir / f".{FILE}.{os.getpid()}"
    part.touch(mode=0o600)
    part.write_bytes(_encoded(names))
    part.replace(data_dir / FILE)


async def sealed(store: StateStore, section: SecuritySection) -> StateStore:
    """The store as the configuration wants it kept. Raises `ConfigError`."""
    sealer = sealer_of(section)
    try:
        value = await store.get(KEY)
        names = _names(value) if value is not None else []
        check(names, sealer, "the shared store")
        if sealer is not None and sealer.current_name not in names:
            await mark(store, [*names, sealer.current_name])
    except StateError as error:  # no reason not to start: what has another key is refused when it is read
        log.warning("sealing.not_checked", reason=error.message)
    return store if sealer is None else SealedStore(store, sealer)


async def mark(store: StateStore, names: Iterable[str]) -> None:
    """Say with which keys the store's values are encrypted."""
    await store.set(KEY, _encoded(names))


def check(names: Iterable[str], sealer: Sealer | None, where: str) -> None:
    """Raises `ConfigError` for a key that is not there."""
    lost = sorted(set(names) - set(sealer.names if sealer is not None else ()))
    if not lost:
        return
    has = f"it has {', '.join(sealer.names)}" if sealer is not None else "there is none"
    raise ConfigError(
        f"security.key: what is kept in {where} is encrypted with key {', '.join(lost)}, and {has}. "
        "Configure that key, as [security] key or one of previous_keys: without it nothing of that can be read."
    )


def _encoded(names: Iterable[str]) -> bytes:
    return msgspec.json.encode({"keys": sorted(set(names))})


def _names(data: bytes) -> list[str]:
    try:
        return msgspec.json.decode(data, type=dict[str, list[str]]).get("keys", [])
    except msgspec.MsgspecError as error:
        raise ConfigError(f"{FILE}: what it says of the keys cannot be read.") from error
