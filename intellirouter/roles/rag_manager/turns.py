"""Pieces of work that wait for their turn: tenants take turns, and within a tenant its collections do."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")
Fits = Callable[[T], bool]


class Turns(Generic[T]):
    """What waits, by tenant and collection. How much that may be is for those to bound who put it here."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[str, OrderedDict[str, deque[T]]] = OrderedDict()
        self._come = asyncio.Event()

    def put(self, tenant: str, collection: str, piece: T) -> None:
        """Let it wait behind those of its collection."""
        self._waiting.setdefault(tenant, OrderedDict()).setdefault(collection, deque()).append(piece)
        self._come.set()

    def next(self, fits: Fits[T]) -> T | None:
        """The piece whose turn it is, of those that fit and have none of their collection before them."""
        for tenant, places in self._waiting.items():
            for collection, pieces in places.items():
                if not fits(pieces[0]):
                    continue
                piece = pieces.popleft()
                places.move_to_end(collection)
                self._waiting.move_to_end(tenant)
                if not pieces:
                    del places[collection]
                if not places:
                    del self._waiting[tenant]
                return piece
        return None

    async def wait(self, fits: Fits[T]) -> T:
        """The same, as soon as there is one."""
        while (piece := self.next(fits)) is None:
            self._come.clear()
            await self._come.wait()
        return piece
