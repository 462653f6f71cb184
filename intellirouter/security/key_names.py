"""With which keys a data directory is encrypted, by their ids, which tell nothing of them; and whether those are configured."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import msgspec

from intellirouter.config.schema.security import SecuritySection
from intellirouter.errors import ConfigError
from intellirouter.security.sealing import Sealer, sealer_of

FILE = "security.json"


def check_file(section: SecuritySection, data_dir: Path) -> None:
    """Raises `ConfigError` where what lies in the data directory was encrypted with a key that is not configured."""
    sealer, names = sealer_of(section), names_in(data_dir)
    check(names, sealer, str(data_dir))
    if sealer is not None and sealer.current_name not in names:
        write_file(data_dir, [*names, sealer.current_name])


def names_in(data_dir: Path) -> list[str]:
    """The keys that the data directory is encrypted with. Raises `ConfigError`."""
    try:
        return decoded((data_dir / FILE).read_bytes())
    except FileNotFoundError:
        return []


def write_file(data_dir: Path, names: Iterable[str]) -> None:
    """Say with which keys the data directory is encrypted. Whole, or not at all."""
    part = data_dir / f".{FILE}.{os.getpid()}"
    part.touch(mode=0o600)
    part.write_bytes(encoded(names))
    part.replace(data_dir / FILE)


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


def encoded(names: Iterable[str]) -> bytes:
    """The ids, to be kept."""
    return msgspec.json.encode({"keys": sorted(set(names))})


def decoded(data: bytes) -> list[str]:
    """What `encoded` made. Raises `ConfigError`."""
    try:
        return msgspec.json.decode(data, type=dict[str, list[str]]).get("keys", [])
    except msgspec.MsgspecError as error:
        raise ConfigError(f"{FILE}: what it says of the keys cannot be read.") from error
