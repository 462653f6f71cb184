"""A plain request is kept in fewer words than others, and its row says the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from intellirouter.chat.model import ChatRequest, RouteOptions, Source
from intellirouter.chat.response import Usage
from intellirouter.guards.report import Report
from intellirouter.inference.cost import Rates
from intellirouter.inference.job import Attempt, Trace
from intellirouter.inference.plan import lone_plan
from intellirouter.records.held import Batches, list_of
from intellirouter.records.row import Row
from intellirouter.roles.router.asked import Asked
from intellirouter.roles.router.recorded import JOTTED, PlainPart
from intellirouter.web.noting import Failure, Known, Seen

TARGET = "canned/gpt-4o-mini"


class Prices:
    """Those of a catalogue: the dearest target of the group costs ten times as much."""

    def rates(self, _name: str) -> tuple[Rates, ...]:
        return Rates(0.15, 0.6, 0.07), Rates(1.5, 6.0, 0.7)


def asked(body: dict[str, Any] | None = None, **named: Any) -> Asked:
    chat = ChatRequest(model="chat", messages=(), source=Source("openai_chat", body or {}), **named)
    usage = Usage(82, 17, cached_tokens=9, reasoning_tokens=3)
    call = Attempt(TARGET, 0.0, outcome="ok", seconds=0.25, sent=1, usage=usage, cost_usd=2e-5)
    trace = Trace(attempts=[call], provider="canned", model="gpt-4o-mini", upstream_seconds=0.25, usage=usage)
    trace.cost_usd, trace.notes, trace.lone = 2e-5, ("top_k was left out.",), "fallback"
    trace.headers = {"x-ratelimit-remaining-requests": "7"}
    trace.plan = lambda: lone_plan("fallback", TARGET)
    return Asked(Prices(), chat, "openai_chat", trace=trace, first_token=0.1)  # type: ignore[arg-type]


def row_of(known: Known) -> Row:
    facts = ("Router", "chat_completions", "POST", "/v1/chat/completions", "r", 200, "key", "acme", None)
    seen = Seen(1e9, 0.5, *facts, None, None, None, None, None, None, known, None)
    (row,) = JOTTED.rows(Batches().of(list_of([(1, JOTTED.encode([seen]))]))[1])
    return row


def changed(**fields: Any) -> Callable[[Trace], None]:
    def change(trace: Trace) -> None:
        for name, value in fields.items():
            setattr(trace, name, value)

    return change


def test_a_plain_request_has_the_row_of_any_other() -> None:
    one = asked()
    plain, whole = one.close(), one._whole(None, None)
    assert isinstance(plain, PlainPart) and not isinstance(whole, PlainPart)
    assert len(msgspec.msgpack.encode(plain)) < 0.8 * len(msgspec.msgpack.encode(whole))
    row = row_of(plain)
    assert row == row_of(whole)
    assert (row.input_tokens, row.cached_tokens, row.reasoning_tokens) == (82, 9, 3)
    assert row.cost_usd == 2e-5 and row.dearest_usd == pytest.approx(
        10 * (73 * 0.15 + 9 * 0.07 + 17 * 0.6) / 1e6
    )
    assert row.detail.decision == {"strategy": "fallback", "order": [TARGET], "passed_over": {}}


FOUND = Report()
FOUND.note("pii", "mask", "request", ["email"])


@pytest.mark.parametrize(
    ("one", "told"),
    [
        (asked({"metadata": {"tags": ["blue"]}}), ("tags", ("blue",))),
        (asked({"safety_identifier": "anna"}), ("user", "anna")),
        (asked(user="ben"), ("user", "ben")),
        (asked(options=RouteOptions(tags=("green",))), ("tags", ("green",))),
        (asked(options=RouteOptions(conversation="c-7")), ("session", "c-7")),
    ],
)
def test_what_a_request_names_is_in_its_row(one: Asked, told: tuple[str, Any]) -> None:
    assert getattr(row_of(one.close()), told[0]) == told[1]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (changed(headers={"x-intellirouter-cache": "hit"}), lambda row: row.cache == "hit"),
        (changed(headers={"x-intellirouter-run": "run-3"}), lambda row: row.chain_run == "run-3"),
        (changed(guards=FOUND), lambda row: row.detail.guards[0]["kinds"] == {"email": 1}),
        (changed(lone="", plan=lambda: {"strategy": "cost"}), lambda row: row.strategy == "cost"),
        (changed(usage=None), lambda row: row.input_tokens is None),
        (
            changed(attempts=[Attempt("a/b", 0.0, outcome="timeout"), Attempt(TARGET, 1.0, outcome="ok")]),
            lambda row: [one["target"] for one in row.detail.attempts] == ["a/b", TARGET],
        ),
    ],
)
def test_what_came_of_it_is_in_its_row(change: Callable[[Trace], None], told: Callable[[Row], bool]) -> None:
    one = asked()
    assert one.trace is not None
    change(one.trace)
    assert told(row_of(one.close()))


def test_a_stream_that_broke_says_so() -> None:
    one = asked()
    one.broken = Failure("upstream_unavailable", "the stream was cut")
    assert row_of(one.close()).error == "upstream_unavailable"
