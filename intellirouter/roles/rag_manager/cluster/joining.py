"""Making a service one of several."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping

from intellirouter.config.schema.rag import RagSection
from intellirouter.inference.background import background
from intellirouter.memory.store import StateStore
from intellirouter.peers.http_roles import RoleClient
from intellirouter.roles.rag_manager.cluster.cluster import Cluster
from intellirouter.roles.rag_manager.cluster.neighbour import Neighbour
from intellirouter.roles.rag_manager.cluster.placement import Placements
from intellirouter.roles.rag_manager.service import RagService


@contextlib.asynccontextmanager
async def joined(
    service: RagService,
    section: RagSection,
    store: StateStore,
    clients: Mapping[str, RoleClient],
    patience: float,
) -> AsyncIterator[None]:
    """The service with its neighbours, by name in `clients`; what it has already is placed where it is."""
    neighbours = {name: Neighbour(name, client, patience) for name, client in clients.items()}
    partial = section.on_shard_error == "partial"
    cluster = Cluster(section.node or "", Placements(store, section.nodes), neighbours, partial=partial)
    service.cluster, service.sources.store = cluster, store
    async with background(rag_adoption=cluster.adopt(service)):
        yield
