"""Who a key is *now*: asked by whoever acts later than the request that told it to.

Runs, schedules, ingestion jobs and summaries keep an `Owner`, never what the key could do on the day they were made. Each time
they act they ask here, so a key that was revoked, expired, narrowed or taken out of the configuration is so for them as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from intellirouter.errors import KeyEnded
from intellirouter.security.caller import Caller, Owner


@dataclass(frozen=True, slots=True)
class Standing:
    """One record of a ring: the caller it stands for, from when and until when (Unix seconds), and why it ended if it has."""

    caller: Caller
    until: float = float("inf")
    ended: str = ""
    since: float = 0.0
    owner: str = ""
    """The account in whose hands a key is: it may what both may."""
    roles: tuple[str, ...] = ()
    """Of a key that has roles in place of scopes."""

    def refused(self, now: float) -> str:
        """Why nothing is done in its name at this time; empty where it is good."""
        if self.ended:
            return self.ended
        if now >= self.until:
            return "has expired"
        return "is not good yet" if now < self.since else ""


class UnknownKey(KeyEnded):
    """No record of that name: another node may have one."""


class Authority(Protocol):
    """What vouches for owners; a ring of keys, and behind the same words whatever else knows people."""

    async def caller_of(self, owner: Owner) -> Caller:
        """The owner as it may act at this moment. Raises `KeyEnded` that says why it may not."""


def ended(owner: Owner, how: str) -> KeyEnded:
    """The refusal of an owner whose record has ended."""
    return KeyEnded(f"The key '{owner.key_id[:100]}' {how}: nothing is done in its name any more.")


def unknown(owner: Owner) -> UnknownKey:
    """The refusal of an owner that has no record here."""
    if owner.key_id == "anonymous":
        return UnknownKey("This was made without a key, and this node asks for keys now (auth.enabled).")
    return UnknownKey(
        f"The key '{owner.key_id[:100]}' is not known here any more: nothing is done in its name."
    )
