"""Remembers which tokens were used, in bounded memory, and never takes one twice.

Two generations of ids are kept, each as long as a token can live. When the younger one is full, tokens issued before that
moment are refused: what was forgotten cannot come back.
"""

from __future__ import annotations

import hashlib

LIFETIME_SECONDS = 60
"""How long a token is good."""
SKEW_SECONDS = 30
"""How far the clocks of two nodes may be apart."""
REMEMBERED_SECONDS = LIFETIME_SECONDS + 2 * SKEW_SECONDS
MOST = 200_000
"""Ids in one generation, at some 90 bytes each: enough for 1,600 calls a second."""


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
        key = hashlib.blake2b(token_id.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        if issued < self._not_before - 1 or key in self._young or key in self._old:
            return False
        self._young.add(key)
        return True
