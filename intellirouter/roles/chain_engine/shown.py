"""A run as clients see it, from what was noted of it, what its engine says, and what it waits for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from intellirouter.chains.runtime.durable.recovery import GAVE_UP, GAVE_UP_WORDS
from intellirouter.chains.runtime.durable.waits import Waiting
from intellirouter.roles.chain_engine.store import RunRow

_GIVEN_UP = "MAX_RECOVERY_ATTEMPTS_EXCEEDED"
_ENDED = {"CANCELLED": "cancelled", "ERROR": "failed", _GIVEN_UP: "failed"}


def shown(row: RunRow, look: Mapping[str, Any] | None, wait: Waiting | None) -> dict[str, Any]:
    """`look` is what the engine says; None: it never heard of the run."""
    outcome = (look or {}).get("outcome") or {}
    status = _status(look, outcome)
    if look is None and row.cancelled is not None:
        status = "cancelled"
    if status != "running":
        wait = None
    error = outcome.get("error")
    if error is None and look is not None and look["status"] == _GIVEN_UP:
        error = {"code": GAVE_UP, "message": GAVE_UP_WORDS}
    if error is None and status in ("cancelled", "failed"):
        error = {"code": status, "message": f"The run was {status}."}
    return {
        "id": row.run_id,
        "object": "chain.run",
        "chain": row.chain,
        "version": row.version,
        "revision": row.revision,
        "status": "waiting" if wait else status,
        "waiting_for": (wait.signal or None) if wait else None,
        "waiting_until": wait.until if wait else None,
        "created_at": round(row.created, 3),
        "ended_at": _ended_at(row, look) if status not in ("running", "queued") else None,
        "output": outcome.get("ok"),
        "error": error,
    }


def _status(look: Mapping[str, Any] | None, outcome: Mapping[str, Any]) -> str:
    if look is None:  # noted, and then the process died: the same Idempotency-Key starts it
        return "queued"
    if look["status"] == "SUCCESS":
        return word(outcome)
    if look["status"] == "CANCELLED":  # by somebody, or at its deadline
        return word(outcome)
    return _ENDED.get(look["status"], "running")


def over(look: Mapping[str, Any] | None) -> bool:
    """Whether nothing of the run goes on."""
    return look is None or look["status"] == "SUCCESS" or look["status"] in _ENDED


def _ended_at(row: RunRow, look: Mapping[str, Any] | None) -> float | None:
    if look is None:
        return row.cancelled
    return round(max(float(look["updated"]), row.created), 3)  # files of before have whole seconds


def word(outcome: Mapping[str, Any]) -> str:
    """How it ended, in one word."""
    error = outcome.get("error")
    if error is None:
        return "succeeded"
    return "cancelled" if error["code"] == "cancelled" else "failed"
