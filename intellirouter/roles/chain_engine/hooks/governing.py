"""Asks a service before a step runs, and refuses the step where the service does."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import structlog

from intellirouter.chains.model import Step
from intellirouter.config.schema.chain_engine import ChainHook
from intellirouter.errors import IntelliRouterError
from intellirouter.roles.chain_engine.hooks.outbox import delivery_id
from intellirouter.security.webhook_signing import signed
from intellirouter.transport.outgoing.door import Ask, OutgoingDoor

MAX_ANSWER = 100_000

log = structlog.get_logger(__name__)

Place = Callable[[str], Awaitable[tuple[str, str]]]
"""The chain and the tenant of a run."""


class _Verdict(msgspec.Struct):
    allow: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Governing:
    """The `govern` hooks of a node. All that concern a step must allow it."""

    hooks: Mapping[str, ChainHook]
    door: OutgoingDoor
    place: Place

    async def refusal(self, step: Step, path: str, spec: Mapping[str, Any], run_id: str) -> str | None:
        """Why the step may not run; None where it may."""
        chain, tenant = await self.place(run_id)
        for name, hook in self.hooks.items():
            if hook.concerns(chain, tenant) and (not hook.steps or step.kind in hook.steps):
                asked = {"run": run_id, "chain": chain, "tenant": tenant, "step": path, "kind": step.kind}
                reason = await self._asked(name, hook, {**asked, "input": spec})
                if reason is not None:
                    return reason
        return None

    async def _asked(self, name: str, hook: ChainHook, data: dict[str, Any]) -> str | None:
        number = delivery_id(name, f"{data['run']}/{data['step']}")
        body = msgspec.json.encode({"id": number, "type": "step.before", "hook": name, "data": data})
        headers = {
            "content-type": "application/json",
            **signed(hook.secret.get_secret_value(), number, time.time(), body),
        }
        ask = Ask(
            hook.url, "POST", headers, body, seconds=hook.timeout_seconds, max_bytes=MAX_ANSWER, trusted=True
        )
        try:
            answer = await self.door.send(ask)
            if answer.status != 200:
                return self._silent(name, hook, f"answered {answer.status}")
            verdict = msgspec.json.decode(answer.body, type=_Verdict)
        except (IntelliRouterError, msgspec.DecodeError) as error:
            return self._silent(name, hook, type(error).__name__)
        return (
            None
            if verdict.allow
            else f"'{name}' refuses the step: {verdict.reason[:300] or 'no reason given'}."
        )

    def _silent(self, name: str, hook: ChainHook, what: str) -> str | None:
        log.warning("chain.governance_silent", hook=name, what=what, on_error=hook.on_error)
        return (
            f"'{name}' gave no verdict, and without one no step runs." if hook.on_error == "closed" else None
        )
