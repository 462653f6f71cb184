"""Which nodes have a collection, and which has a tenant's files and vector stores.

Rendezvous hashing picks among the nodes named when the thing is made, and what it picked is
written down in the shared store: a node that joins later takes what is made from then on, and nothing moves silently.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterable
from urllib.parse import quote

import msgspec
import structlog

from intellirouter.errors import Conflict, StateUnavailable
from intellirouter.memory.store import StateStore
from intellirouter.vectors.rendezvous import owners

MAX_KNOWN = 10_000
log = structlog.get_logger(__name__)


class Placements:
    """The placements of one installation, over `nodes` by name. What was seen is known while the store is away."""

    def __init__(self, store: StateStore, nodes: Collection[str]) -> None:
        self._store = store
        self._nodes = tuple(nodes)
        self._known: OrderedDict[str, tuple[str, ...]] = OrderedDict()

    async def find(self, tenant: str, collection: str) -> tuple[str, ...] | None:
        """The nodes that have the collection: several when it is split. None when it was never made.

        Raises `StateUnavailable` when only the store could tell.
        """
        return await self._read(_collection(tenant, collection))

    def due(self, tenant: str, collection: str) -> tuple[str, ...]:
        """Where a collection that was never made, and is not to be split, would be."""
        return tuple(owners(self._nodes, f"{tenant}\0{collection}"))

    async def claim(self, tenant: str, collection: str, *, split: bool) -> tuple[str, ...]:
        """Write down where a new collection will be. Raises `Conflict` when there is one of that name."""
        nodes = self._nodes if split else self.due(tenant, collection)
        if not await self._write(_collection(tenant, collection), nodes):
            raise Conflict(f"There is a collection '{collection[:200]}' already.")
        return nodes

    async def forget(self, tenant: str, collection: str) -> None:
        """The collection is no more."""
        key = _collection(tenant, collection)
        self._known.pop(key, None)
        await self._store.delete(key)

    async def home(self, tenant: str) -> str | None:
        """The node with the tenant's files and vector stores, if it has any."""
        found = await self._read(_home(tenant))
        return found[0] if found else None

    async def settle(self, tenant: str) -> str:
        """The same; a tenant without a home gets one."""
        while (home := await self.home(tenant)) is None:
            await self._write(_home(tenant), tuple(owners(self._nodes, tenant)))
        return home

    async def adopt(self, node: str, collections: Iterable[tuple[str, str]], tenants: Iterable[str]) -> None:
        """Write down what `node` has already, from before there were others. What is placed elsewhere is told, not moved."""
        for tenant, collection in collections:
            await self._adopt(node, _collection(tenant, collection), tenant, f"the collection '{collection}'")
        for tenant in tenants:
            await self._adopt(node, _home(tenant), tenant, "files or vector stores")

    async def _adopt(self, node: str, key: str, tenant: str, what: str) -> None:
        placed = await self._read(key)
        if placed is None and not await self._write(key, (node,)):
            placed = await self._read(key)
        if placed is not None and node not in placed:
            log.warning("rag.placed_elsewhere", tenant=tenant, what=what, nodes=placed)

    async def _read(self, key: str) -> tuple[str, ...] | None:
        value = await self._store.get(key)
        if value is not None:
            nodes = msgspec.json.decode(value, type=tuple[str, ...])
            self._known[key] = nodes
            self._known.move_to_end(key)
            if len(self._known) > MAX_KNOWN:
                self._known.popitem(last=False)
            return nodes
        if self._store.health().status == "healthy":
            self._known.pop(key, None)
            return None
        if key in self._known:
            return self._known[key]
        raise StateUnavailable(
            "Where the collection is cannot be told while the shared store does not answer."
        )

    async def _write(self, key: str, nodes: tuple[str, ...]) -> bool:
        """False when something is written there. Never into the copy that stands in for a store that is away."""
        if self._store.health().status != "healthy":
            raise StateUnavailable("Nothing can be placed while the shared store does not answer.")
        return await self._store.set(key, msgspec.json.encode(nodes), only_if_absent=True)


def _collection(tenant: str, collection: str) -> str:
    return f"rag-place:{quote(tenant, safe='')}:{quote(collection, safe='', errors='surrogatepass')}"


def _home(tenant: str) -> str:
    return f"rag-home:{quote(tenant, safe='')}"
