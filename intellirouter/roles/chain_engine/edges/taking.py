"""What a centre does with a batch, over HTTP and gRPC alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from intellirouter.errors import KeepsTooMuch
from intellirouter.peers.edges import Batch, Taken
from intellirouter.security.caller import Caller

if TYPE_CHECKING:
    from intellirouter.roles.chain_engine.service import ChainService


async def take(service: ChainService, caller: Caller, batch: Batch) -> Taken:
    """Keep what is new. Raises `PermissionDenied`, `RateLimited`."""
    edge, full = service.arrivals.edge(caller), dict[str, str]()
    for tenant in dict.fromkeys(sent.tenant for sent in batch.runs if edge.speaks_for(sent.tenant)):
        try:
            await service.room(tenant, "runs")
        except KeepsTooMuch as error:
            full[tenant] = error.message
    return await service.arrivals.take(caller, batch, full)
