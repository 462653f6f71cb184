"""Passwords: Argon2id, checked aside from the event loop, a few at a time."""

from __future__ import annotations

import asyncio
import functools
import secrets
from concurrent.futures import ThreadPoolExecutor

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from intellirouter.errors import RateLimited

MIN_LENGTH, MAX_LENGTH = 10, 512
AT_ONCE = 2
"""Hashes under way: each takes 64 MiB and a core for some 50 ms."""
MAX_WAITING = 50

_hasher = PasswordHasher()  # RFC 9106's second recommendation: 64 MiB, three passes, four lanes


@functools.cache
def _decoy() -> str:
    """The hash of a password that nobody has: who is not there takes as long as who is."""
    return _hasher.hash(secrets.token_hex(16))


def hashed(password: str) -> str:
    """The form a password is kept in."""
    return _hasher.hash(password)


def weakness(password: str, name: str) -> str:
    """Why a password is not taken; empty where it is."""
    if len(password) < MIN_LENGTH:
        return f"a password has at least {MIN_LENGTH} characters"
    if len(password) > MAX_LENGTH:
        return f"a password has at most {MAX_LENGTH} characters"
    if name.lower() in password.lower() and len(password) < len(name) + MIN_LENGTH:
        return "the password is the name and little else"
    return "" if len(set(password)) >= 5 else "the password repeats itself"


def holds(kept: str | None, password: str) -> bool:
    """Whether it is the password of that hash. Of nobody's it is not, after as long a look."""
    try:
        _hasher.verify(kept or _decoy(), password)
    except (VerificationError, InvalidHashError):
        return False
    return kept is not None


class Checker:
    """Checks passwords in threads of its own. Raises `RateLimited` while too many wait."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="passwords")
        self._waiting = 0

    async def holds(self, kept: str | None, password: str) -> bool:
        """See `holds`."""
        if self._waiting >= MAX_WAITING:
            raise RateLimited("Too many are signing in at this moment.", retry_after=2.0)
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(
                self._threads, holds, kept, password[:MAX_LENGTH]
            )
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """End its threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)
