"""Kept responses: what was asked and what was answered, for clients who go on from an answer by its id.

Each record names the answers before it, so a whole history is read in two steps however long it is, and two
continuations of one answer do not disturb each other. A tenant never sees another's.
"""

from __future__ import annotations

import asyncio
import re
from typing import Any

import msgspec

from intellirouter.errors import NotFound
from intellirouter.memory.store import StateStore
from intellirouter.memory.tally import Tally

MAX_TURNS = 500
MAX_ITEMS = 200
"""Items of an answer that can be found by their own ids."""
MAX_BYTES = 8 * 1024 * 1024
"""A longer record is not kept."""
_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")

Json = dict[str, Any]


class Kept(msgspec.Struct, frozen=True):
    """One response: the items it was asked, the response object, and the ids of those before it, oldest first.

    `answered_as` is the id that the provider gave it.
    """

    asked: list[Json]
    response: Json
    before: tuple[str, ...] = ()
    answered_as: str = ""


_decode = msgspec.json.Decoder(Kept).decode
_encode = msgspec.json.Encoder().encode


class Responses:
    """The kept responses of all tenants. `ttl` in seconds, from the answer on."""

    def __init__(self, store: StateStore, ttl: float) -> None:
        self._store = store
        self._ttl = ttl
        self.kept = Tally(store, "responses", ttl)

    async def get(self, tenant: str, response_id: str) -> Kept:
        """One record. Raises `NotFound`."""
        found = await self._store.get(_key(tenant, response_id)) if _ID.fullmatch(response_id) else None
        if found is None:
            raise NotFound(f"Response with id '{response_id[:128]}' not found.")
        return _decode(found)

    async def history(self, tenant: str, response_id: str) -> list[Kept]:
        """The records before this one and itself, oldest first. Raises `NotFound` when one of them is gone."""
        last = await self.get(tenant, response_id)
        found = (
            await self._store.get_many([_key(tenant, name) for name in last.before]) if last.before else []
        )
        if (
            gone := next((n for n, f in zip(last.before, found, strict=True) if f is None), None)
        ) is not None:
            raise NotFound(f"Response with id '{gone}', which '{response_id}' goes on from, not found.")
        return [*(_decode(one) for one in found if one is not None), last]

    async def keep(self, tenant: str, response_id: str, kept: Kept) -> bool:
        """Write one; False for one that is too long."""
        record = _encode(kept)
        if len(record) > MAX_BYTES:
            return False
        await self._store.set(_key(tenant, response_id), record, ttl=self._ttl)
        place = response_id.encode()
        names = [_item_key(tenant, name) for name in _item_ids(kept.response)[:MAX_ITEMS]]
        await asyncio.gather(*(self._store.set(name, place, ttl=self._ttl) for name in names))
        await self.kept.added(tenant, 1, len(record))
        return True

    async def item(self, tenant: str, item_id: str) -> Json | None:
        """One item of an answer that is kept, by the item's own id; None where there is none."""
        place = await self._store.get(_item_key(tenant, item_id)) if _ID.fullmatch(item_id) else None
        found = None if place is None else await self._store.get(_key(tenant, place.decode()))
        if found is None:
            return None
        output = _decode(found).response.get("output") or ()
        return next((item for item in output if isinstance(item, dict) and item.get("id") == item_id), None)

    async def delete(self, tenant: str, response_id: str) -> None:
        """Forget one. Raises `NotFound`."""
        key = _key(tenant, response_id)
        found = await self._store.get(key) if _ID.fullmatch(response_id) else None
        if found is None or not await self._store.delete(key):
            raise NotFound(f"Response with id '{response_id[:128]}' not found.")
        await self.kept.removed(tenant, 1, len(found))


def _item_ids(response: Json) -> list[str]:
    items = (item for item in response.get("output") or () if isinstance(item, dict))
    return [name for item in items if isinstance(name := item.get("id"), str) and _ID.fullmatch(name)]


def _item_key(tenant: str, item_id: str) -> str:
    return f"response-item:{tenant}:{item_id}"


def _key(tenant: str, response_id: str) -> str:
    return f"response:{tenant}:{response_id}"
