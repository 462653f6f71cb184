"""Remembers which tokens were used, in bounded memory, and never takes one twice.

`Seen` keeps two generations of ids, each as long as a token can live. When the younger one is full, tokens issued before that
moment are refused: what was forgotten cannot come back. `SeenFile` does the same for all processes of a node and over its
restarts: a table in a mapped file, under a lock held for some microseconds.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import mmap
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

LIFETIME_SECONDS = 60
"""How long a token is good."""
SKEW_SECONDS = 30
"""How far the clocks of two nodes may be apart."""
REMEMBERED_SECONDS = LIFETIME_SECONDS + 2 * SKEW_SECONDS
MOST = 200_000
"""Ids in one generation, at some 90 bytes each: enough for 1,600 calls a second."""


SEEN_FILE = "peer-calls"
"""Of the data directory: nothing of it is worth a backup."""


class Memory(Protocol):
    """What has been used."""

    def first_use(self, token_id: str, issued: float, now: float) -> bool:
        """Whether this is the first use of a token issued at that time; from then on it is not."""


class Seen:
    """Ids of tokens that live at most `lifetime` seconds after they were issued. Times are Unix seconds."""

    def __init__(self, lifetime: float, most: int = MOST) -> None:
        self._lifetime = lifetime
        self._most = most
        self._young: set[bytes] = set()
        self._old: set[bytes] = set()
        self._turned = 0.0
        self._not_before = 0.0

    def first_use(self, token_id: str, issued: float, now: float) -> bool:
        """Whether this is the first use of a token issued at that time; from then on it is not."""
        if now - self._turned >= self._lifetime:
            self._old = self._young if now - self._turned < 2 * self._lifetime else set()
            self._young = set()
            self._turned = now
        elif len(self._young) >= self._most:
            self._not_before = self._turned = now
            self._old, self._young = self._young, set()
        key = _digest(token_id)
        if issued < self._not_before - 1 or key in self._young or key in self._old:
            return False
        self._young.add(key)
        return True


class SeenFile:
    """The same, in `slots` places of a file. Raises `OSError` where it cannot be made or mapped.

    An id lies in one of the `NEAR` places behind the one that its first bytes name, and its place is free again when it cannot
    be valid any more. Where all of them are taken the oldest gives way, and tokens issued until then are refused from then on.
    """

    NEAR = 16
    _HEAD = struct.Struct("=8sd")
    _SLOT = struct.Struct("=16sd")
    _MARK = b"IRSEEN01"

    def __init__(self, file: Path, lifetime: float, slots: int = MOST) -> None:
        self._lifetime = lifetime
        self._slots = slots
        size = self._HEAD.size + (slots + self.NEAR) * self._SLOT.size
        self._file = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            with self._alone():
                if os.fstat(self._file).st_size != size or os.pread(self._file, 8, 0) != self._MARK:
                    os.ftruncate(self._file, 0)
                    os.ftruncate(self._file, size)
                    os.pwrite(self._file, self._HEAD.pack(self._MARK, 0.0), 0)
            self._map = mmap.mmap(self._file, size)
        except BaseException:
            os.close(self._file)
            raise

    def first_use(self, token_id: str, issued: float, now: float) -> bool:
        """As `Seen.first_use`."""
        key = _digest(token_id)
        place = self._HEAD.size + int.from_bytes(key[:8]) % self._slots * self._SLOT.size
        with self._alone():
            if issued < self._HEAD.unpack_from(self._map)[1] - 1:
                return False
            taken, until = place, now + 2 * self._lifetime
            for at in range(place, place + self.NEAR * self._SLOT.size, self._SLOT.size):
                other, ends = self._SLOT.unpack_from(self._map, at)
                if ends > now and other == key:
                    return False
                if ends < until:
                    taken, until = at, ends
            if until > now:
                self._HEAD.pack_into(self._map, 0, self._MARK, now)
            self._SLOT.pack_into(self._map, taken, key, now + self._lifetime)
        return True

    def close(self) -> None:
        """Let the file go; what it remembers stays."""
        self._map.close()
        os.close(self._file)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        fcntl.flock(self._file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)


def _digest(token_id: str) -> bytes:
    return hashlib.blake2b(token_id.encode("utf-8", "surrogatepass"), digest_size=16).digest()
