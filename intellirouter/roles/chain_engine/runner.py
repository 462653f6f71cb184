"""The ChainEngine as the other roles see it when they live in its process."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from intellirouter.errors import PeerUnavailable
from intellirouter.peers.contract import Call, RunResult

if TYPE_CHECKING:  # every process imports this module, and must not pay for dbos
    from intellirouter.roles.chain_engine.service import ChainService

_ANSWERS = ("answer", "text", "output")


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
            await service.cancel(caller, row.run_id)
            raise PeerUnavailable(
                f"The run '{row.run_id}' was {run['status']} at its deadline; it is cancelled."
            )
        error = run["error"]["message"] if run["error"] else None
        usage = used(await service.steps(caller, row.run_id))
        return RunResult(row.run_id, run["status"], run["output"], answer(run["output"]), usage, error)


def answer(output: Any) -> str:
    """What of an output reads as one answer; the whole as JSON where nothing does."""
    if isinstance(output, Mapping):
        output = next((output[key] for key in _ANSWERS if isinstance(output.get(key), str)), output)
    return output if isinstance(output, str) else msgspec.json.encode(output).decode()


def used(steps: list[dict[str, Any]]) -> dict[str, int]:
    """The tokens of a run's llm steps together."""
    total = {"input_tokens": 0, "output_tokens": 0}
    for step in steps:
        result = step["outcome"].get("ok") if isinstance(step["outcome"], dict) else None
        usage = result.get("usage") if isinstance(result, dict) else None
        if isinstance(usage, dict):
            for key in total:
                total[key] += usage.get(key) or 0
    return total
