"""Whose an archive is: its manifest carries a MAC by each key of whoever made it.

The manifest holds the sum of every file, so that what vouches for it vouches for all. Keys are 32 bytes: the node's own
(`backup.key` in the data directory, in no archive), one that follows from the token of the installation, and one that follows from
the secret which opens the archive, when it was made with a passphrase. An archive without a MAC that one of them makes is foreign:
somebody else's, or of a node whose keys are lost.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from intellirouter.config import weak_secrets
from intellirouter.config.schema.settings import Settings
from intellirouter.errors import InvalidRequest
from intellirouter.ops.backup.archive import Manifest

FILE = "backup.key"
_PURPOSE = b"intellirouter backup 1"
_BYTES = 32


class ForeignArchive(InvalidRequest):
    """Nobody vouches for an archive."""

    code = "foreign_archive"


def keys(settings: Settings, secrets_: Iterable[Any] = (), *, make: bool = False) -> Iterator[bytes]:
    """The keys of this node. `secrets_` are what opens the archive (age identities); `make` makes the node's own when it has none."""
    own = _own(settings.paths.data_dir / FILE, make=make)
    if own is not None:
        yield own
    security = settings.ipc.security
    for token in (security.token, security.previous_token):
        if security.enabled and token is not None and not weak_secrets.is_known(token.get_secret_value()):
            yield _derived(token.get_secret_value())
    yield from (_derived(str(secret)) for secret in secrets_)


def sign(manifest: Manifest, by: Iterable[bytes]) -> None:
    """Vouch for all that it lists."""
    text = _text(manifest)
    manifest.seals = {_name(key): _mac(key, text) for key in by}


def genuine(manifest: Manifest, by: Iterable[bytes]) -> bool:
    """True when one of the keys vouches for it."""
    text = _text(manifest)
    return any(
        hmac.compare_digest(manifest.seals.get(_name(key), "").encode(), _mac(key, text).encode())
        for key in by
    )


def _own(file: Path, *, make: bool) -> bytes | None:
    try:
        key = file.read_bytes()
    except FileNotFoundError:
        if not make:
            return None
        key = secrets.token_bytes(_BYTES)
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(key)
            stream.flush()
            os.fsync(stream.fileno())
    return key if len(key) == _BYTES else None


def _derived(secret: str) -> bytes:
    return hmac.digest(secret.encode(), _PURPOSE, "sha256")


def _text(manifest: Manifest) -> bytes:
    return msgspec.json.encode(msgspec.structs.replace(manifest, seals={}), order="deterministic")


def _name(key: bytes) -> str:
    """By which a key finds its MAC; it says nothing of the key."""
    return hashlib.sha256(_PURPOSE + key).hexdigest()[:16]


def _mac(key: bytes, text: bytes) -> str:
    return hmac.new(key, text, "sha256").hexdigest()
