"""The circuit breaker by the clock."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from intellirouter.errors import UpstreamRejected, UpstreamUnavailable
from intellirouter.inference.catalog import Candidate
from intellirouter.inference.circuit import FIRST_REST, Circuit, CircuitPolicy
from intellirouter.inference.offline_transport import OFFLINE
from intellirouter.inference.standing import Board
from intellirouter.transport.contract import Deadlines

POLICY = CircuitPolicy(threshold=5, timeout=60, probe_interval=15)


def opened() -> Circuit:
    circuit = Circuit(POLICY)
    assert [circuit.failed(0) for _ in range(5)] == [False] * 4 + [True]
    return circuit


def test_it_opens_after_failures_in_a_row_and_a_success_between_counts_anew() -> None:
    circuit = Circuit(POLICY)
    for _ in range(4):
        circuit.failed(0)
    circuit.succeeded(0)
    for _ in range(4):
        circuit.failed(0)
    assert circuit.state(0) == "closed"
    circuit.failed(0)
    assert circuit.state(0) == "open"
    assert not circuit.admit(1)


def test_it_opens_when_half_of_many_calls_fail() -> None:
    circuit = Circuit(POLICY)
    outcomes = []
    for call in range(22):
        outcomes.append(circuit.failed(call) if call % 2 else circuit.succeeded(call))
    assert any(outcomes)
    assert not circuit.closed


def test_half_open_lets_one_probe_through_and_its_outcome_decides() -> None:
    circuit = opened()
    now = FIRST_REST
    assert circuit.state(now) == "half-open"
    assert circuit.admit(now)
    assert not circuit.admit(now)
    circuit.failed(now)
    assert circuit.state(now) == "open"
    later = now + 2 * FIRST_REST
    assert circuit.admit(later)
    assert circuit.succeeded(later)
    assert circuit.state(later) == "closed"


def test_a_probe_that_was_cancelled_makes_room_for_the_next() -> None:
    circuit = opened()
    assert circuit.admit(FIRST_REST)
    circuit.unsure()
    assert circuit.admit(FIRST_REST)


@settings(deadline=None)
@given(outage=st.floats(1, 3600), pace=st.floats(0.05, 3))
def test_it_closes_within_thirty_seconds_of_any_recovery(outage: float, pace: float) -> None:
    circuit, now = Circuit(POLICY), 0.0
    calls = 0
    while now < outage or not circuit.closed:
        if circuit.admit(now):
            calls += now < outage
            circuit.failed(now) if now < outage else circuit.succeeded(now)
        now += pace
    assert now < outage + 30
    assert calls <= 6 + outage / FIRST_REST


def test_another_routers_word_is_taken_both_ways() -> None:
    circuit = Circuit(POLICY)
    circuit.open(10)
    assert not circuit.admit(11)
    circuit.close()
    assert circuit.admit(11)


def test_others_hear_of_each_circuit_that_opens_and_closes_once() -> None:
    candidate = Candidate("p/m", OFFLINE, OFFLINE.target("m"), Deadlines())
    board, heard = Board(POLICY, lambda: now), []
    board.on_circuit = lambda target, opened, _only: heard.append((target, opened))
    now = 0.0
    for witness in "abcdefghij":
        board.failed(candidate, 0, UpstreamUnavailable("gone"), witness)
    assert heard == [("p/m", True)]
    now = FIRST_REST
    assert board.of(candidate).circuit.admit(now)
    board.answered(candidate, 0.1)
    assert heard == [("p/m", True), ("p/m", False)]
    board.failed(candidate, 0, UpstreamRejected("the request is wrong"), "a")
    assert len(heard) == 2
