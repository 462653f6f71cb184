"""What an evaluation says of a run, told to the Router, which learns whom to ask: the score is that of every answer the run's steps got."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from intellirouter.errors import KeyEnded
from intellirouter.inference.learning.outcome import score_of
from intellirouter.peers.contract import MAX_JUDGED, Call, ChatCompleter, Judgement
from intellirouter.roles.chain_engine.reach import request_id
from intellirouter.security.caller import Caller

TELL_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Judging:
    """`acting` tells in whose name a run acts: what it asked is that tenant's."""

    chat: ChatCompleter
    acting: Callable[[str], Awaitable[Caller]]

    async def tell(self, hook: str, run_id: str, answer: bytes, steps: Sequence[Mapping[str, Any]]) -> None:
        """Pass an evaluation on, where its `score` is one: true, false, or 0 to 1. Raises `PeerUnavailable`, `StateUnavailable`."""
        try:
            score = score_of(msgspec.json.decode(answer).get("score"))
        except ValueError:
            return
        found = tuple(dict.fromkeys(asked(run_id, steps)))[:MAX_JUDGED]
        if not found:
            return
        try:
            caller = await self.acting(run_id)
        except KeyEnded:  # nobody is left who could say it
            return
        call = Call(caller, request_id(f"judge_{run_id}"), deadline=time.monotonic() + TELL_SECONDS)
        await self.chat.judge(Judgement(found, score, hook), call)


def asked(run_id: str, steps: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The requests to models that gave a run's steps what they gave; none of a result that was at hand."""
    for step in steps:
        value = (step["outcome"] or {}).get("ok")
        answered = isinstance(value, dict) and {"model", "usage", "cost_usd"} <= value.keys()
        if answered and not step.get("cached", False):
            last = "/fallback" if step.get("fallback") else ""
            yield request_id(f"{run_id}/{step['path']}{last}")
