"""The ChainEngine as the other roles see it when they live in its process."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from intellirouter.errors import PeerUnavailable
from intellirouter.peers.chain_output import answer, used
from intellirouter.peers.contract import Call, RunResult
from intellirouter.peers.edges import Batch, Taken
from intellirouter.roles.chain_engine import steering
from intellirouter.roles.chain_engine.edges.taking import take

if TYPE_CHECKING:  # every process imports this module, and must not pay for dbos
    from intellirouter.roles.chain_engine.service import ChainService


class LocalChainRunner:
    """See `ChainRunner`."""

    def __init__(self, service: ChainService) -> None:
        self._service = service

    async def run(self, name: str, inputs: Mapping[str, Any], call: Call) -> RunResult:
        """See `ChainRunner.run`. A run that is not done by the deadline is cancelled."""
        service, caller = self._service, call.caller
        longest = service.section.wait_timeout_seconds
        seconds = longest if call.deadline is None else min(longest, call.deadline - time.monotonic())
        row, _ = await service.start(caller, name, inputs, service.run_id(caller, call.idempotency_key))
        await service.wait(row.run_id, seconds)
        (run,) = await service.shown(row)
        if run["status"] in ("running", "waiting", "queued"):
            await steering.cancel(service, caller, row.run_id)
            raise PeerUnavailable(
                f"The run '{row.run_id}' was {run['status']} at its deadline; it is cancelled."
            )
        return RunResult.of(run, answer(run["output"]), used(await service.steps(caller, row.run_id)))

    async def take(self, batch: Batch, call: Call) -> Taken:
        """See `Centre.take`: what an edge brings to this node."""
        return await take(self._service, call.caller, batch)
