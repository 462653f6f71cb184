"""A run as the one document that travels: how it stands, what it was given, what its steps did, and what they cost."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from intellirouter.peers.chain_output import used
from intellirouter.peers.edges import MAX_DOCUMENT, Sent
from intellirouter.roles.chain_engine.definitions import described

if TYPE_CHECKING:
    from intellirouter.roles.chain_engine.service import ChainService

CUT = "cut"
"""The field of what was left out because the run is too large to travel."""


@dataclass(frozen=True, slots=True)
class Telling:
    """At an edge. `most` is of one document, in bytes."""

    service: ChainService
    most: int = MAX_DOCUMENT

    async def told(self, run_id: str, change: int) -> Sent | None:
        """A run as it stands now; None for one that is not there any more."""
        service = self.service
        row = await asyncio.to_thread(service.store.run, run_id)
        if row is None:
            return None
        (run,) = await service.shown(row)
        recorded = [step for step in await service.runtime.steps(run_id) if step["outcome"] is not None]
        definition, inputs = await service.runtime.begun_with(run_id) or (None, None)
        steps = described(recorded, definition)
        told = {
            "run": run,
            "owner": row.owner().key_id,
            "input": inputs,
            "usage": used(steps),
            "steps": steps,
            "definition": definition,
        }
        return Sent(run_id, change, row.tenant, _fitting(told, self.most))


def _fitting(told: dict[str, Any], most: int) -> str:
    """The document, without what makes it too long: first what steps gave, then inputs, output and definition."""
    text = msgspec.json.encode(told)
    if len(text) <= most:
        return text.decode()
    short = {
        **told,
        CUT: True,
        "steps": [{**step, "outcome": _without(step), "inputs": None} for step in told["steps"]],
    }
    text = msgspec.json.encode(short)
    if len(text) <= most:
        return text.decode()
    run = {**told["run"], "output": None}
    if run["error"] is not None:
        run["error"] = {
            "code": str(run["error"].get("code", ""))[:100],
            "message": str(run["error"].get("message", ""))[:2_000],
        }
    bare = {**short, "run": run, "input": None, "definition": None}
    text = msgspec.json.encode(bare)
    if len(text) > most:
        text = msgspec.json.encode({**bare, "steps": []})
    return text.decode()


def _without(step: dict[str, Any]) -> dict[str, Any]:
    """Whether it failed, and nothing of what it gave."""
    failed = isinstance(step["outcome"], dict) and "error" in step["outcome"]
    return {"error": {"code": CUT, "message": CUT}} if failed else {"ok": None}
