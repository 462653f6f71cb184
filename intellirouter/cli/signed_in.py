"""The tokens of whoever uses the commands, by the Router's address: one file that is readable for its owner alone."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import msgspec
from platformdirs import user_config_path

from intellirouter.errors import ConfigError


class SignedIn(msgspec.Struct, frozen=True):
    """One sign-in. `until` is when its access token ends (Unix seconds); 0: kept before that was noted."""

    name: str
    access_token: str
    refresh_token: str
    until: float = 0.0


def _file() -> Path:
    return user_config_path("intellirouter") / "tokens.json"


def _all() -> dict[str, SignedIn]:
    file = _file()
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as cause:
        raise ConfigError(f"{file} cannot be read ({cause.strerror}).") from cause
    try:
        return msgspec.json.decode(data, type=dict[str, SignedIn])
    except msgspec.MsgspecError:
        return {}  # of another version, or cut: who signs in again writes it anew


def _write(all_: dict[str, SignedIn]) -> Path:
    file = _file()
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = file.with_suffix(f".{os.getpid()}.part")
    with contextlib.suppress(FileNotFoundError):
        part.unlink()
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as opened:
        opened.write(msgspec.json.encode(all_))
    part.replace(file)
    return file


def lock_file() -> Path:
    """What whoever renews a sign-in holds meanwhile."""
    file = _file().with_suffix(".lock")
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    return file


def kept(url: str) -> SignedIn | None:
    """The sign-in at that address."""
    return _all().get(url.rstrip("/"))


def keep(url: str, found: SignedIn) -> Path:
    """Keep a sign-in; where."""
    return _write({**_all(), url.rstrip("/"): found})


def forget(url: str) -> None:
    """Keep it no more."""
    _write({name: one for name, one in _all().items() if name != url.rstrip("/")})
