"""Encryption of a backup in the age format (age-encryption.org/v1): to public keys, read with the secret one.

What `age-keygen` writes are the key files. Without IntelliRouter an archive is opened by the tools themselves, but for the 40 bytes
at its end: `head -c -40 FILE | age -d -i KEY | zstd -d | tar x`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from intellirouter.errors import InvalidRequest
from intellirouter.ops.backup import pipe

HEADER = b"age-encryption.org/v1"


def recipients(file: Path) -> list[Any]:
    """The public keys of a file, one a line (`age1…`). Raises `InvalidRequest`."""
    return _keys(file, "age1", lambda x25519, line: x25519.Recipient.from_str(line))


def identities(file: Path) -> list[Any]:
    """The secret keys of a file, one a line (`AGE-SECRET-KEY-1…`). Raises `InvalidRequest`, which shows none of it."""
    return _keys(file, "AGE-SECRET-KEY-1", lambda x25519, line: x25519.Identity.from_str(line))


def _keys(file: Path, prefix: str, parse: Callable[[Any, str], Any]) -> list[Any]:
    pyrage = importlib.import_module("pyrage")
    try:
        lines = [line.strip() for line in file.read_text(encoding="utf-8").splitlines()]
        found = [parse(pyrage.x25519, line) for line in lines if line.startswith(prefix)]
    except (OSError, UnicodeDecodeError, pyrage.RecipientError, pyrage.IdentityError) as cause:
        reason = cause.strerror if isinstance(cause, OSError) else "a line is no key"
        raise InvalidRequest(f"{file}: cannot be read as age keys ({reason}).") from None
    if not found:
        raise InvalidRequest(f"{file} holds no key that starts with {prefix} (age-keygen makes them).")
    return found


@contextmanager
def encrypting(sink: Any, to: Sequence[Any]) -> Iterator[IO[bytes]]:
    """A stream whose bytes go encrypted to `sink`, all of them when the block has ended well."""
    encrypt = importlib.import_module("pyrage").encrypt_io
    with pipe.drained(lambda source: encrypt(source, sink, list(to))) as stream:
        yield stream


@contextmanager
def decrypting(source: Any, using: Sequence[Any]) -> Iterator[IO[bytes]]:
    """A stream of what `source` holds. Raises `ValueError` when none of the keys opens it, or it was changed."""
    pyrage = importlib.import_module("pyrage")
    try:
        with pipe.filled(lambda sink: pyrage.decrypt_io(source, sink, list(using))) as stream:
            yield stream
    except pyrage.DecryptError as cause:
        raise ValueError(f"not decrypted: {cause}") from None


def encrypted_bytes(data: bytes, to: Sequence[Any]) -> bytes:
    """A small piece, encrypted."""
    sealed: bytes = importlib.import_module("pyrage").encrypt(data, list(to))
    return sealed


def decrypted_bytes(data: bytes, using: Sequence[Any], file: object) -> bytes:
    """The other way. Raises `InvalidRequest` when none of the keys opens it, or it was changed."""
    pyrage = importlib.import_module("pyrage")
    try:
        clear: bytes = pyrage.decrypt(data, list(using))
    except pyrage.DecryptError as cause:
        raise InvalidRequest(f"{file}: no key that was named opens it ({cause}).") from None
    return clear
