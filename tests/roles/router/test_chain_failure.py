"""A chain that is asked as a model fails as a model would: a client tries again what may pass by, and nothing else."""

from __future__ import annotations

import pytest

from intellirouter.peers.contract import RunResult
from intellirouter.roles.router.pipeline.chain_failure import chain_failure


@pytest.mark.parametrize(
    ("cause", "status", "code", "retryable"),
    [
        ("guard_blocked", 400, "guard_blocked", False),
        ("invalid_request_error", 400, "invalid_request_error", False),
        ("budget_exceeded", 402, "budget_exceeded", False),
        ("rate_limit_exceeded", 429, "rate_limit_exceeded", True),
        ("upstream_rate_limited", 429, "upstream_rate_limited", True),
        ("context_length_exceeded", 400, "context_length_exceeded", False),
        ("content_policy_violation", 400, "content_policy_violation", False),
        ("upstream_unavailable", 503, "upstream_unavailable", True),
        ("upstream_protocol_error", 503, "upstream_unavailable", True),
        ("timeout", 504, "upstream_timeout", True),
        ("bad_expression", 422, "chain_failed", False),
        ("result_too_large", 422, "chain_failed", False),
        ("not_found", 422, "chain_failed", False),
    ],
)
def test_whose_fault_it_was_decides(cause: str, status: int, code: str, retryable: bool) -> None:
    run = {"id": "run_1", "status": "failed", "output": None}
    outcomes = (
        {"code": "step_failed", "message": "it is so", "cause": cause, "path": "a"},
        {"code": cause, "message": "it is so"},
    )
    for error in outcomes:
        failure = chain_failure("c", RunResult.of({**run, "error": error}, "", {}))
        assert (failure.status, failure.code, failure.retryable) == (status, code, retryable)
        assert (getattr(failure, "retry_after", None) is not None) == (status == 429)
        assert failure.details["run"] == "run_1" and failure.message == "the chain 'c' failed: it is so"
