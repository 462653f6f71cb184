"""What is done to a run that is there: signal, cancel, resume, fork. What an edge brought is only shown here."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import msgspec

from intellirouter.bounds.aside import ASIDE
from intellirouter.bounds.schemas import schema
from intellirouter.errors import Conflict, InvalidRequest, NotFound
from intellirouter.roles.chain_engine.definitions import forms, signals
from intellirouter.roles.chain_engine.owners import check_starts
from intellirouter.roles.chain_engine.store import RunRow
from intellirouter.security.caller import Caller

if TYPE_CHECKING:  # every process imports this module, and must not pay for dbos
    from intellirouter.roles.chain_engine.service import ChainService

_ENDS = {"succeeded": "has succeeded", "failed": "has failed", "cancelled": "was cancelled"}


async def signal(service: ChainService, caller: Caller, run_id: str, name: str, payload: Any) -> None:
    """Hand a payload to a run, now or when it comes to wait.

    Raises `NotFound`, also for a signal that no step of the run waits for, and `Conflict` when the run has ended.
    """
    await _in_state(service, caller, run_id, "running", "queued", "waiting")
    waited_for = signals(await service.runtime.document(run_id))
    if waited_for is not None and name not in waited_for:
        known = f"It waits for: {', '.join(sorted(waited_for))}." if waited_for else "It waits for none."
        raise NotFound(f"No step of the run waits for a signal '{name[:100]}'. {known}")
    await _fits(service, caller, run_id, name, payload)
    await service.runtime.signal(run_id, name, payload)


async def _fits(service: ChainService, caller: Caller, run_id: str, name: str, payload: Any) -> None:
    """Raises `InvalidRequest` for a payload that does not fit the form of the wait it is for, now or later."""
    wait = (await asyncio.to_thread(service.runtime.waits.of, [run_id])).get(run_id)
    if wait is not None and wait.signal == name:
        form = (wait.about or {}).get("form")
        found = [] if form is None else [form]
    else:
        found = list(forms(await service.runtime.document(run_id), name))
    given = {} if payload is None else payload
    wrong = await ASIDE.soon(caller.tenant, lambda: [schema(form).complaint(given) for form in found])
    if wrong and all(wrong):
        raise InvalidRequest(f"The payload does not fit the form: {str(wrong[0])[:300]}.", param="payload")


async def cancel(service: ChainService, caller: Caller, run_id: str) -> None:
    """Cancel a run. Raises `NotFound`, or `Conflict` when it has ended."""
    await _in_state(service, caller, run_id, "running", "queued", "waiting")
    if service.line.used and await service.line.leave(run_id) and not await service.runtime.look([run_id]):
        await asyncio.to_thread(service.store.cancel_run, run_id)
        return
    watched = run_id in service.watch.watched
    await service.runtime.cancel(run_id)
    if watched:  # what another node walks, that node counts
        await service.watch.end(run_id)
        service.watch.begin(run_id, caller.tenant)


async def resume(service: ChainService, caller: Caller, run_id: str) -> None:
    """Let a cancelled run go on. Raises `NotFound`, `Conflict` when it is not cancelled, or `RateLimited` as a start does."""
    await _in_state(service, caller, run_id, "cancelled")
    service.watch.admit(caller)
    await service.watch.end(run_id)
    await service.runtime.resume(run_id)
    service.watch.begin(run_id, caller.tenant)


async def fork(service: ChainService, caller: Caller, run_id: str, step: int) -> RunRow:
    """A new run with what an ended one recorded before the step of that number, and everything from it on anew.

    Raises `NotFound`, `Conflict` while the run goes on, `InvalidRequest` for a number it has not recorded, `RateLimited` as a start does.
    """
    check_starts(caller)
    await _in_state(service, caller, run_id, "succeeded", "failed", "cancelled")
    numbers = [each["number"] for each in await service.runtime.steps(run_id)]
    if step not in numbers:
        raise InvalidRequest(
            f"The run has no step {step}: GET /v1/runs/{run_id}/steps has the numbers.", param="step"
        )
    old = await service.row(caller, run_id)
    service.watch.admit(caller)
    await service.room(caller.tenant, "runs")
    new = RunRow(
        service.run_id(caller, None),
        caller.tenant,
        old.chain,
        old.version,
        old.fingerprint,
        msgspec.json.encode(caller.owner()),
        time.time(),
        revision=old.revision,
    )
    await asyncio.to_thread(service.store.add_run, new)
    await service.runtime.fork(run_id, step, new.run_id)
    service.watch.begin(new.run_id, caller.tenant)
    return new


async def _in_state(service: ChainService, caller: Caller, run_id: str, *states: str) -> None:
    row = await service.row(caller, run_id)
    if row.edge is not None:
        raise Conflict(
            f"The run '{run_id}' is of the edge '{row.edge}': it is changed there, and only shown here."
        )
    (shown,) = await service.shown(row)
    if shown["status"] not in states:
        raise Conflict(f"The run '{run_id}' {_ENDS.get(shown['status'], 'is ' + shown['status'])}.")
