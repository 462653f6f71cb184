"""The ChainEngine reached over the network, through the API everybody uses."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from intellirouter.chat.fields import Json
from intellirouter.errors import IntelliRouterError, PeerUnavailable
from intellirouter.peers.chain_output import answer
from intellirouter.peers.contract import Call, RunResult
from intellirouter.peers.http_roles import RoleClient

CANCEL_SECONDS = 5.0
_GOING = ("running", "waiting", "queued")


class HttpChainRunner:
    """See `ChainRunner`."""

    def __init__(self, client: RoleClient) -> None:
        self._client = client

    async def run(self, name: str, inputs: Mapping[str, Any], call: Call) -> RunResult:
        """See `ChainRunner.run`. A run that is not done by the deadline is cancelled."""
        path = f"/v1/chains/{quote(name, safe='')}/runs"
        key = {"idempotency-key": call.idempotency_key or secrets.token_hex(16)}
        body: Json = {"input": dict(inputs), "mode": "background"}
        run = await self._client.post(path, body, call, key)
        if run["status"] in _GOING:
            try:
                run = await self._client.post(path, {**body, "mode": "wait"}, call, key)
            except BaseException:  # the caller left or its time is up: nobody waits for the run any more
                await self._cancel(run["id"], call)
                raise
        if run["status"] in _GOING:
            await self._cancel(run["id"], call)
            raise PeerUnavailable(
                f"The run '{run['id']}' was {run['status']} at its deadline; it is cancelled."
            )
        return RunResult.of(run, answer(run["output"]), run.get("usage") or {})

    async def _cancel(self, run_id: str, call: Call) -> None:
        late = replace(call, deadline=time.monotonic() + CANCEL_SECONDS)
        with contextlib.suppress(IntelliRouterError):  # what went wrong first is what the caller hears of
            await self._client.post(f"/v1/runs/{quote(run_id, safe='')}/cancel", {}, late)
