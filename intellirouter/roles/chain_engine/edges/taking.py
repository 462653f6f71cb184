"""What a centre does with a batch, over HTTP and gRPC alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from intellirouter.errors import KeepsTooMuch, PermissionDenied
from intellirouter.peers.edges import Batch, Taken
from intellirouter.security.caller import Caller
from intellirouter.security.errands import EDGE

if TYPE_CHECKING:
    from intellirouter.roles.chain_engine.service import ChainService


async def take(service: ChainService, caller: Caller, batch: Batch) -> Taken:
    """Keep what is new. Raises `PermissionDenied`, `RateLimited`."""
    if (
        EDGE not in caller.via
    ):  # a client's key may have the name of an edge, and a role hand on what a client asks
        raise PermissionDenied("Only an edge brings runs here, with a token of its own (chain_engine.edges).")
    edge, full = service.arrivals.edge(caller), dict[str, str]()
    for tenant in dict.fromkeys(sent.tenant for sent in batch.runs if edge.speaks_for(sent.tenant)):
        try:
            await service.room(tenant, "runs")
        except KeepsTooMuch as error:
            full[tenant] = error.message
    return await service.arrivals.take(caller, batch, full)
