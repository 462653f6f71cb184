"""What this node and its neighbours do together."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol, TypeVar
from urllib.parse import quote

import structlog

from intellirouter.errors import Conflict, IntelliRouterError, NotFound, PeerUnavailable, StateUnavailable
from intellirouter.peers.contract import Call, RetrievalRequest, Retrieved
from intellirouter.roles.rag_manager.cluster.neighbour import Neighbour
from intellirouter.roles.rag_manager.cluster.placement import Placements
from intellirouter.roles.rag_manager.ranking import Candidates
from intellirouter.vectors.rendezvous import owners

ADOPT_AGAIN_SECONDS = 5.0
LARGE_AT_ONCE = 4
T = TypeVar("T")
log = structlog.get_logger(__name__)


def collection_path(name: str) -> str:
    """Its address on any node."""
    return f"/rag/v1/collections/{quote(name, safe='')}"


class Own(Protocol):
    """This node's service."""

    async def candidates(self, request: RetrievalRequest, call: Call) -> list[Candidates]:
        """What it would choose from."""

    async def chosen(
        self, request: RetrievalRequest, candidates: Sequence[Candidates], call: Call
    ) -> Retrieved:
        """The best of all of them."""

    async def searched(self, request: RetrievalRequest, call: Call) -> Retrieved:
        """From its own collections alone."""

    async def create(self, tenant: str, name: str) -> None:
        """Make a collection there. Raises `Conflict`."""

    async def drop(self, tenant: str, name: str) -> None:
        """Remove it."""

    async def holdings(self) -> tuple[list[tuple[str, str]], list[str]]:
        """Tenant and name of its collections, and tenants with files or vector stores."""


class Cluster:
    """`node` is this one's name. With `partial`, what the other nodes hold is left out while they are away."""

    def __init__(
        self, node: str, placements: Placements, neighbours: Mapping[str, Neighbour], *, partial: bool
    ) -> None:
        self.node = node
        self.placements = placements
        self.partial = partial
        self.large = asyncio.Semaphore(LARGE_AT_ONCE)
        """Places for large bodies that are passed on."""
        self._neighbours = dict(neighbours)

    @property
    def nodes(self) -> list[str]:
        """All of them, this one first."""
        return [self.node, *self._neighbours]

    def neighbour(self, node: str) -> Neighbour:
        """Raises `PeerUnavailable` for one that this node's configuration does not name."""
        found = self._neighbours.get(node)
        if found is None:
            raise PeerUnavailable(
                f"what was asked for is on the node '{node}', which rag.nodes does not name"
            )
        return found

    async def nodes_of(self, tenant: str, collection: str) -> tuple[str, ...]:
        """Where the collection is; what has no placement of its own may be a vector store. Raises `NotFound`."""
        placed = await self.placements.find(tenant, collection)
        if placed is not None:
            return placed
        home = await self.placements.home(tenant)
        if home is None:
            raise NotFound(f"There is no collection '{collection[:200]}'.")
        return (home,)

    async def node_of(self, tenant: str, collection: str, document: str) -> str:
        """Where a document of the collection is, or is to be."""
        (node,) = owners(await self.nodes_of(tenant, collection), document)
        return node

    async def create(self, name: str, call: Call, own: Own, *, split: bool) -> None:
        """Make a collection where it belongs, on every node of it or on none. Raises `Conflict`."""
        tenant = call.caller.tenant
        nodes = await self.placements.claim(tenant, name, split=split)
        made: list[str] = []
        try:
            for node in nodes:
                if node == self.node:
                    await own.create(tenant, name)
                else:
                    await self.neighbour(node).post("/rag/v1/collections", {"name": name}, call)
                made.append(node)
        except BaseException:
            for node in made:
                await self._undo(node, name, call, own)
            await self.placements.forget(tenant, name)
            raise

    async def _undo(self, node: str, name: str, call: Call, own: Own) -> None:
        try:
            if node == self.node:
                await own.drop(call.caller.tenant, name)
            else:
                reply = await self.neighbour(node).pass_on("DELETE", collection_path(name), {}, b"", call)
                reply.close()
        except (
            IntelliRouterError
        ) as error:  # it stays there, empty, and is placed there when that node starts again
            log.warning("rag.not_undone", node=node, collection=name, reason=error.message)

    async def retrieve(self, request: RetrievalRequest, call: Call, own: Own) -> Retrieved:
        """From wherever the collections are, ranked together as if they were on one node."""
        placed: dict[str, list[str]] = defaultdict(list)
        for name in request.collections:
            for node in await self.nodes_of(call.caller.tenant, name):
                placed[node].append(name)
        if list(placed) == [self.node]:
            return await own.searched(request, call)
        if len(placed) == 1:
            return await self.neighbour(next(iter(placed))).retrieve(request, call)
        parts = {
            node: self._candidates(node, replace(request, collections=tuple(names)), call, own)
            for node, names in placed.items()
        }
        found, away = await self.each(parts, partial=self.partial)
        candidates = [one for part in found.values() for one in part]
        if len(models := {one.collection.model for one in candidates}) > 1:
            raise Conflict(f"Vectors of several models cannot be compared: {', '.join(sorted(models))}.")
        chosen = await own.chosen(request, candidates, call)
        return replace(chosen, partial=True) if away else chosen

    def _candidates(
        self, node: str, request: RetrievalRequest, call: Call, own: Own
    ) -> Coroutine[Any, Any, list[Candidates]]:
        if node == self.node:
            return own.candidates(request, call)
        return self._neighbours_candidates(node, request, call)

    async def _neighbours_candidates(
        self, node: str, request: RetrievalRequest, call: Call
    ) -> list[Candidates]:
        return await self.neighbour(node).candidates(request, call)

    async def each(
        self, asked: Mapping[str, Coroutine[Any, Any, T]], *, partial: bool
    ) -> tuple[dict[str, T], list[str]]:
        """What the nodes answer, and those that do not, which is an error unless a partial answer will do."""
        answers = await asyncio.gather(*asked.values(), return_exceptions=True)
        found: dict[str, T] = {}
        away: list[str] = []
        for node, answer in zip(asked, answers, strict=True):
            if isinstance(answer, (PeerUnavailable, StateUnavailable)) and partial:
                log.warning("rag.node_away", node=node, reason=answer.message)
                away.append(node)
            elif isinstance(answer, BaseException):
                raise answer
            else:
                found[node] = answer
        if not found:
            raise PeerUnavailable(f"none of the nodes answers: {', '.join(asked)}")
        return found, away

    async def adopt(self, own: Own) -> None:
        """Write down what this node has already, as soon as the shared store answers."""
        while True:
            try:
                await self.placements.adopt(self.node, *await own.holdings())
            except IntelliRouterError as error:
                log.warning("rag.not_adopted", reason=error.message)
                await asyncio.sleep(ADOPT_AGAIN_SECONDS)
            else:
                return
