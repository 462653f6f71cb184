"""Tells `notify` hooks of runs that wait for somebody: once when they begin to, and once more when the question goes to somebody else.

Waits are found in the database, where every node writes them down: so none is missed that began while no node had the hook, or on a node
that died. What was written into the outbox before is not written again: its id is that of hook, run, step, and who is asked.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from intellirouter.config.schema.chain_engine import ChainHook
from intellirouter.errors import NotFound
from intellirouter.roles.chain_engine.approvals.inbox import Asked, Inbox, Place, assigned
from intellirouter.roles.chain_engine.approvals.links import Link, Links
from intellirouter.roles.chain_engine.hooks.outbox import Delivery, Outbox, delivery_id
from intellirouter.security.caller import Owner

DAY = 86_400.0
LONGEST = 30 * DAY
"""How long a link is good for where the step waits without end."""
ASKED, ESCALATED = "asked", "escalated"

Owned = Callable[[str], Awaitable[Owner]]
"""Who started a run. Raises `NotFound`."""


@dataclass(slots=True)
class Notices:
    """One a node. `hooks` are those of kind `notify`."""

    hooks: Mapping[str, ChainHook]
    outbox: Outbox
    inbox: Inbox
    links: Links
    owner: Owned
    _seen: dict[tuple[str, str], float] = field(default_factory=dict)
    """Waits that were written down, and when each goes to somebody else; infinity: never, or it has."""

    async def note(self) -> None:
        """Write down whom there is to tell."""
        if not self.hooks:
            return
        now = time.time()
        places = {(place.run_id, place.path): place for place in await asyncio.to_thread(self.inbox.places)}
        self._seen = {key: at for key, at in self._seen.items() if key in places}
        fresh = [place for key, place in places.items() if key not in self._seen]
        for one in await asyncio.to_thread(self.inbox.of, [place.run_id for place in fresh]):
            key = (one.run_id, one.wait.path)
            if (place := places.get(key)) is not None:
                await self._write(place, ASKED)
                further = (one.wait.about or {}).get("escalate")
                self._seen[key] = one.wait.since + float(further["after"]) if further else math.inf
        for key, at in self._seen.items():
            if at <= now:
                await self._write(places[key], ESCALATED)
                self._seen[key] = math.inf

    async def _write(self, place: Place, level: str) -> None:
        names = [name for name, hook in self.hooks.items() if hook.concerns(place.chain, place.tenant)]
        if names:
            what = _what(place.path, level)
            await asyncio.to_thread(self.outbox.add, names, place.run_id, place.tenant, what)

    async def told(self, delivery: Delivery) -> dict[str, Any] | None:
        """What a hook is told; None where the run waits for this no more."""
        for one in await asyncio.to_thread(self.inbox.of, [delivery.run_id]):
            for level in (ASKED, ESCALATED):
                if delivery.id == delivery_id(delivery.hook, f"{one.run_id}{_what(one.wait.path, level)}"):
                    with contextlib.suppress(NotFound):  # deleted at this moment
                        return await self._document(delivery, one, level, time.time())
        return None

    async def _document(self, delivery: Delivery, one: Asked, level: str, now: float) -> dict[str, Any]:
        wait = one.wait
        until = wait.since + LONGEST if wait.until is None else wait.until
        until = until if until > now else now + DAY  # it has waited longer, or is about to be over
        made = Link(one.run_id, wait.path, wait.signal, until, await self.owner(one.run_id))
        token = await asyncio.to_thread(self.links.token, made)
        base = (self.hooks[delivery.hook].link_base or "").rstrip("/")
        about = wait.about or {}
        before, _ = assigned(about, wait.since, wait.since)
        return {
            "type": f"approval.{level}",
            "data": {
                **one.shown(now if level == ESCALATED else wait.since),
                "tenant": delivery.tenant,
                "asked_before": before if level == ESCALATED else None,
                "link": {"url": f"{base}/v1/approve/{token}", "expires_at": round(until, 3)},
            },
        }


def _what(path: str, level: str) -> str:
    return f"/{path}/{level}"
