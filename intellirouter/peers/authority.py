"""The authority of one node: its own ring, and for keys it has not heard of the Router's, where that lives elsewhere."""

from __future__ import annotations

import time
from collections import OrderedDict
from uuid import uuid4

from intellirouter.peers.contract import Call, ChatCompleter
from intellirouter.security.api_keys import KeyRing
from intellirouter.security.authority import UnknownKey
from intellirouter.security.caller import Caller, Owner

FRESH_SECONDS = 1.0
"""How long an answer of the Router is good: a run asks before each step, and steps may be short."""
SECONDS = 10.0
"""How long the Router may take."""
_KEPT = 1_000


class NodeAuthority:
    """See `Authority`. `front` is the Router of another node; None where this node's ring knows every key."""

    def __init__(self, ring: KeyRing, front: ChatCompleter | None, node: str) -> None:
        self._ring = ring
        self._front = front
        self._node = Caller(key_id=node, scopes=frozenset({"inference"}))
        self._told: OrderedDict[Owner, tuple[float, Caller]] = OrderedDict()

    async def caller_of(self, owner: Owner) -> Caller:
        """See `Authority.caller_of`. Raises `PeerUnavailable` too, while the Router that would know does not answer."""
        if self._front is None:
            return self._ring.caller_of(owner).entering()
        if self._ring.enabled:
            try:
                return self._ring.caller_of(owner).entering()
            except UnknownKey:  # of the Router's own configuration, perhaps
                pass
        return await self._asked(self._front, owner)

    async def _asked(self, front: ChatCompleter, owner: Owner) -> Caller:
        now = time.monotonic()
        told = self._told.get(owner)
        if told is not None and told[0] > now:
            return told[1]
        caller = await front.caller_of(owner, Call(self._node, f"req_{uuid4().hex}", now + SECONDS))
        self._told[owner] = (now + FRESH_SECONDS, caller)
        self._told.move_to_end(owner)
        if len(self._told) > _KEPT:
            self._told.popitem(last=False)
        return caller
