"""Backups that a passphrase opens: the directory holds a key of its own, and the passphrase opens the key.

    intellirouter.key.age    an age secret key, encrypted with the passphrase (scrypt)

Made with the first such backup. Every backup of the directory is encrypted to that key, which age itself can open with the passphrase
(`age.py`). Without the key file the passphrase opens nothing: copy both.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from intellirouter.errors import InvalidRequest
from intellirouter.ops.backup import place
from intellirouter.ops.backup.place import Directory

KEY = "intellirouter.key.age"
LEAST = 12
"""Characters: who has the archive can try as many as he likes."""


def read(file: Path) -> str:
    """The first line of a file. Raises `InvalidRequest`, which shows none of it."""
    try:
        words = file.read_text(encoding="utf-8").partition("\n")[0].strip()
    except (OSError, UnicodeDecodeError) as cause:
        reason = cause.strerror if isinstance(cause, OSError) else "it is not UTF-8"
        raise InvalidRequest(f"{file}: the passphrase cannot be read ({reason}).") from None
    if len(words) < LEAST:
        raise InvalidRequest(f"{file}: a passphrase has {LEAST} characters at least.")
    return words


def recipients(directory: Directory, passphrase: str) -> list[Any]:
    """The public key of a directory, which gets a key when it has none.

    Raises `InvalidRequest` when it has one that the passphrase does not open: nobody could read what was encrypted to it.
    """
    pyrage = importlib.import_module("pyrage")
    try:
        found = identities(directory, passphrase)
    except FileNotFoundError:
        identity = pyrage.x25519.Identity.generate()
        # where two make one at the same time, the one that came first is the directory's
        place.create(directory / KEY, pyrage.passphrase.encrypt(f"{identity}\n".encode(), passphrase))
        found = identities(directory, passphrase)
    return [identity.to_public() for identity in found]


def identities(directory: Directory, passphrase: str) -> list[Any]:
    """The secret key of a directory. Raises `InvalidRequest` when the passphrase does not open it, `FileNotFoundError` without one."""
    pyrage = importlib.import_module("pyrage")
    file = directory / KEY
    with file.open("rb") as stream:
        sealed = stream.read()
    try:
        text = pyrage.passphrase.decrypt(sealed, passphrase).decode()
        return [pyrage.x25519.Identity.from_str(text.strip())]
    except (pyrage.DecryptError, pyrage.IdentityError, UnicodeDecodeError):
        raise InvalidRequest(f"{file}: the passphrase does not open it.") from None
