"""Encryption of a backup in the age format (age-encryption.org/v1): to public keys, read with the secret one.

What `age-keygen` writes are the key files, so that `age -d` opens an archive too. pyrage pulls from a stream; a pipe and a
thread turn that into one that is written to.
"""

from __future__ import annotations

import importlib
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from intellirouter.errors import InvalidRequest

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
    inward, outward = os.pipe()
    work = _Work(lambda source: encrypt(source, sink, list(to)), os.fdopen(inward, "rb"))
    with work, os.fdopen(outward, "wb") as stream:
        yield stream


@contextmanager
def decrypting(source: Any, using: Sequence[Any]) -> Iterator[IO[bytes]]:
    """A stream of what `source` holds. Raises `ValueError` when none of the keys opens it, or it was changed."""
    pyrage = importlib.import_module("pyrage")
    inward, outward = os.pipe()
    work = _Work(lambda sink: pyrage.decrypt_io(source, sink, list(using)), os.fdopen(outward, "wb"))
    try:
        with work, os.fdopen(inward, "rb") as stream:
            yield stream
    except pyrage.DecryptError as cause:
        raise ValueError(f"not decrypted: {cause}") from None


def encrypted_bytes(data: bytes, to: Sequence[Any]) -> bytes:
    """A small piece, encrypted."""
    sealed: bytes = importlib.import_module("pyrage").encrypt(data, list(to))
    return sealed


def decrypted_bytes(data: bytes, using: Sequence[Any], file: Path) -> bytes:
    """The other way. Raises `InvalidRequest` when none of the keys opens it, or it was changed."""
    pyrage = importlib.import_module("pyrage")
    try:
        clear: bytes = pyrage.decrypt(data, list(using))
    except pyrage.DecryptError as cause:
        raise InvalidRequest(f"{file}: no key of --identity opens it ({cause}).") from None
    return clear


class _Work:
    """A thread that works on one end of a pipe; its error is raised in place of what the error did to the other end."""

    def __init__(self, work: Callable[[IO[bytes]], None], end: IO[bytes]) -> None:
        self._work, self._end = work, end
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="age", daemon=True)

    def _run(self) -> None:
        try:
            self._work(self._end)
        except BaseException as error:  # noqa: BLE001  handed to the other side
            self._error = error
        finally:
            with suppress(OSError):  # the other side has gone, which it knows
                self._end.close()

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._thread.join()
        if self._error is not None and not (kind and isinstance(self._error, BrokenPipeError)):
            raise self._error
