"""Runs that wait for a person: the inbox, the form, escalation, and the page behind a signed link."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import aiohttp
import pytest

from intellirouter.errors import InvalidRequest
from intellirouter.roles.chain_engine.approvals.inbox import FORM, assigned
from intellirouter.roles.chain_engine.approvals.page import page, payload
from intellirouter.roles.chain_engine.keys import ENGINE
from tests.conftest import StartNode
from tests.roles.chain_engine.test_api import Client, auth

BUY = """
chain: {name: buy}
input: {what: {type: string}}
steps:
  - id: ok
    wait:
      signal: approval
      title: "Buy {{ input.what }}?"
      message: "It costs <b>9</b> dollars."
      assignee: ann
      escalate: {after: 1h, to: bob}
      form:
        type: object
        properties:
          decision: {enum: ["yes", "no"]}
          amount: {type: integer, minimum: 1}
          urgent: {type: boolean, default: false}
          note: {type: string, maxLength: 2000, description: why}
        required: [decision]
        additionalProperties: false
  - {id: again, wait: {signal: approval}}
output: {said: steps.ok, then: steps.again}
"""


async def asks(ask: Client, *steps: str) -> None:
    """Return when runs wait at these steps."""
    async with asyncio.timeout(60):
        while True:
            _, found = await ask("GET", "/v1/approvals")
            if [each["step"] for each in found["data"]] == list(steps):
                return
            await asyncio.sleep(0.02)


async def test_a_form_is_asked_answered_through_its_link_and_held(
    start_node: StartNode, http: aiohttp.ClientSession
) -> None:
    node = await start_node(auth(ann="a", bob="b"), role="ChainEngine")
    ask, other = (Client(http, node.listening[0].url, key) for key in ("ann", "bob"))
    status, told = await ask(
        "PUT", "/v1/chains/buy", {"source": BUY.replace("type: integer", "type: nothing")}
    )
    assert (status, "form" in told["error"]["message"]) == (400, True)
    assert (await ask("PUT", "/v1/chains/buy", {"source": BUY}))[0] == 201
    run = (await ask("POST", "/v1/chains/buy/runs", {"input": {"what": "tea"}, "mode": "background"}))[1][
        "id"
    ]
    await ask.until(run, "waiting")
    (asked,) = (await ask("GET", "/v1/approvals?assignee=ann"))[1]["data"]
    assert (asked["run"], asked["title"], asked["signal"], asked["escalated"]) == (
        run,
        "Buy tea?",
        "approval",
        False,
    )
    assert (await ask("GET", "/v1/approvals?assignee=bob"))[1]["data"] == []
    assert (await other("GET", "/v1/approvals"))[1]["data"] == []
    for wrong in (
        {},
        {"decision": "perhaps"},
        {"decision": "yes", "amount": 0},
        {"decision": "yes", "more": 1},
    ):
        status, told = await ask("POST", f"/v1/runs/{run}/signals/approval", wrong)
        assert (status, told["error"]["param"]) == (400, "payload"), wrong

    assert (await other("POST", f"/v1/runs/{run}/signals/approval/link", {}))[0] == 404
    assert (await ask("POST", f"/v1/runs/{run}/signals/approval/link", {"valid_for": "40d"}))[0] == 400
    assert (await ask("POST", f"/v1/runs/{run}/signals/nothing/link", {}))[0] == 404
    _, link = await ask("POST", f"/v1/runs/{run}/signals/approval/link", {"valid_for": "2h"})
    assert link["expires_at"] == pytest.approx(time.time() + 7_200, abs=600)
    assert link["expires_at"] == round(link["expires_at"], 3)
    async with http.get(link["url"]) as reply:
        text = await reply.text()
        assert (reply.status, reply.content_type) == (200, "text/html")
        assert "default-src 'none'" in reply.headers["content-security-policy"]
        assert "Buy tea?" in text
        assert "&lt;b&gt;9&lt;/b&gt;" in text
    forged = link["url"][:-3] + ("AAA" if not link["url"].endswith("AAA") else "BBB")
    for url in (
        forged,
        link["url"].rpartition(".")[0],
        link["url"] + "x",
        f"{node.listening[0].url}/v1/approve/x",
    ):
        async with http.get(url) as reply:
            assert reply.status == 404, url
    async with http.post(link["url"], data={"decision": '"yes"', "amount": "many"}) as reply:
        assert reply.status == 400
        assert "amount" in await reply.text()
    async with http.post(
        link["url"], data={"decision": '"yes"', "amount": "3", "urgent": "", "note": "a\r\nb"}
    ) as reply:
        assert reply.status == 200
        assert "Thank you" in await reply.text()
    said = {"decision": "yes", "amount": 3, "note": "a\nb"}
    await asks(ask, "again")
    async with http.post(link["url"], data={"decision": '"no"'}) as reply:  # it was for the first wait
        assert reply.status in (404, 409)
    async with http.get(link["url"]) as reply:
        assert reply.status in (404, 409)
    assert (await ask("POST", f"/v1/runs/{run}/signals/approval", {"anything": 1}))[0] == 202
    ended = await ask.until(run, "succeeded")
    assert ended["output"] == {"said": said, "then": {"anything": 1}}
    assert await asyncio.to_thread(node.opened[ENGINE].inbox.asked, "a") == []
    # nobody is asked any more for a run that came to its own deadline
    late = "chain: {name: late, timeout: 300ms}\nsteps: [{id: a, wait: {signal: go}}]"
    await ask("PUT", "/v1/chains/late", {"source": late})
    run = (await ask("POST", "/v1/chains/late/runs", {"mode": "background"}))[1]["id"]
    assert (await ask.until(run, "failed"))["error"]["code"] == "timeout"
    await asks(ask)


def test_what_is_not_answered_goes_to_somebody_else() -> None:
    about = {"assignee": "ann", "escalate": {"after": 60.0, "to": "bob"}}
    assert assigned(about, 100.0, 159.0) == ("ann", False)
    assert assigned(about, 100.0, 160.0) == ("bob", True)
    assert assigned({}, 100.0, 1e9) == (None, False)


@pytest.mark.parametrize(
    ("filled", "wanted"),
    [
        ({"ok": "true", "by": " ann ", "comment": ""}, {"ok": True, "by": " ann "}),
        ({"ok": "false", "other": "x"}, {"ok": False}),
        ({}, {}),
    ],
)
def test_what_is_filled_in_has_the_types_of_the_form(filled: dict[str, str], wanted: dict[str, Any]) -> None:
    assert payload(FORM, filled) == wanted


def test_a_form_of_any_schema_is_a_page_and_bad_fields_are_said() -> None:
    form = {
        "type": "object",
        "properties": {
            "choice": {"enum": [1, None, "<x>", {"a": 1}], "default": 1},
            "tags": {"type": "array", "items": {"type": "string"}},
            '"><script>': {"title": "<script>"},
            "any": True,
        },
    }
    told = {"title": "<t>", "message": "", "assignee": None, "until": 1.0, "form": form}
    text = page(told, "<problem>")
    assert "<script>" not in text
    assert "&lt;problem&gt;" in text
    assert payload(form, {"choice": '{"a":1}', "tags": '["x"]', "any": "plain"}) == {
        "choice": {"a": 1},
        "tags": ["x"],
        "any": "plain",
    }
    with pytest.raises(InvalidRequest, match="tags"):
        payload(form, {"tags": "x, y"})
