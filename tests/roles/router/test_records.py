"""The record of requests through a Router: what is noted, who may look, and what is never kept."""

from __future__ import annotations

import asyncio
import csv
import hashlib
import io
import json
import time
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest

from intellirouter.app.node import Node
from tests.conftest import StartNode, StartVendor, provider
from tests.roles.router.test_chat import ANSWER, BODY, STREAM
from tests.servers.vendor import Play, Vendor

PRICED = """
[[model_registry.models]]
name = "pair"
strategy = "fallback"
targets = ["primary/gpt-4o-mini", "primary/gpt-4o"]
"""
PUBLISHED = 'facts = "openai"\nmodels = ["m", "gpt-4o-mini", "gpt-4o"]\n'
ADMIN = {"authorization": "Bearer admin-key"}


def priced(vendor: Vendor) -> str:
    """A group of a cheap and a dear model, of known prices."""
    return provider(vendor, more=PUBLISHED).replace('models = ["m"]\n', "") + PRICED


def keys(**named: str) -> str:
    text = "[auth]\nenabled = true\n"
    for name, more in named.items():
        digest = hashlib.sha256(f"{name}-key".encode()).hexdigest()
        text += f'[[auth.keys]]\nname = "{name}"\nsha256 = "{digest}"\n{more}\n'
    return text


async def recorded(
    http: aiohttp.ClientSession,
    node: Node,
    query: str = "",
    headers: dict[str, str] | None = None,
    until: Callable[[list[Any]], bool] = bool,
) -> list[Any]:
    """The rows, as soon as they are as `until` wants them: they are written a moment after the answer."""
    deadline = time.monotonic() + 60
    while True:
        async with http.get(f"{node.listening[0].url}/admin/requests{query}", headers=headers) as reply:
            assert reply.status == 200, await reply.text()
            rows: list[Any] = (await reply.json())["data"]
        if until(rows):
            return rows
        assert time.monotonic() < deadline, rows
        await asyncio.sleep(0.05)


async def test_a_request_leaves_a_row_that_says_who_asked_what_who_answered_and_what_it_cost(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    vendor = await start_vendor(Play.json({"error": {"message": "down"}}, 500), Play.json(ANSWER))
    node = await start_node(priced(vendor))
    body = {
        **BODY,
        "model": "pair",
        "user": "ann",
        "metadata": {"tags": ["blue", "green"]},
        "intellirouter": {"tags": ["ours"]},
    }
    headers = {"x-session-id": "s-1", "x-litellm-tags": "theirs, blue", "x-request-id": "mine"}
    async with http.post(f"{node.listening[0].url}/v1/chat/completions", json=body, headers=headers) as reply:
        assert reply.status == 200
        cost = float(reply.headers["x-intellirouter-cost-usd"])
    (row,) = await recorded(http, node)
    assert row["request_id"] == "mine" and row["session"] == "s-1" and row["user"] == "ann"
    assert set(row["tags"]) == {"theirs", "blue", "green", "ours"}
    assert (row["model"], row["served_model"], row["provider"]) == ("pair", "m-2026-01-01", "primary")
    assert (row["status"], row["endpoint"], row["role"]) == (200, "chat_completions", "Router")
    assert (row["input_tokens"], row["output_tokens"]) == (9, 3)
    assert row["cost_usd"] == pytest.approx(cost, abs=1e-8) and cost > 0
    assert row["dearest_usd"] > 10 * row["cost_usd"]
    assert row["saved_usd"] == pytest.approx(row["dearest_usd"] - row["cost_usd"])
    assert row["strategy"] == "fallback" and row["seconds"] > 0
    async with http.get(f"{node.listening[0].url}/admin/requests/mine") as reply:
        whole = await reply.json()
    assert [attempt["outcome"] for attempt in whole["attempts"]] == ["upstream_unavailable", "ok"]
    assert whole["decision"]["order"] == ["primary/gpt-4o-mini", "primary/gpt-4o"]
    assert whole["asked"] is None and whole["answered"] is None, "content is off"


async def test_what_auto_saves_is_told_as_of_a_group(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    vendor = await start_vendor(Play.json(ANSWER), Play.json(ANSWER))
    node = await start_node(priced(vendor))
    for model in ("pair", "auto"):
        body = {**BODY, "model": model}
        async with http.post(f"{node.listening[0].url}/v1/chat/completions", json=body) as reply:
            assert reply.status == 200, await reply.text()
    rows = await recorded(http, node, until=lambda rows: len(rows) == 2)
    dearest = {row["model"]: row["dearest_usd"] for row in rows}
    assert dearest["auto"] == pytest.approx(dearest["pair"]) and dearest["auto"] > 0


async def test_a_stream_is_recorded_with_its_first_token_and_tells_its_cost_before_the_end(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    vendor = await start_vendor(Play.sse(*STREAM))
    node = await start_node(priced(vendor))
    body = {**BODY, "model": "pair", "stream": True}
    async with http.post(f"{node.listening[0].url}/v1/chat/completions", json=body) as reply:
        text = await reply.text()
    (row,) = await recorded(http, node)
    assert row["stream"] is True and 0 < row["first_token"] <= row["seconds"]
    told = next(line for line in text.splitlines() if line.startswith(": x-intellirouter-cost-usd: "))
    assert float(told.split()[2]) == pytest.approx(row["cost_usd"], abs=1e-8) and row["cost_usd"] > 0
    assert text.rstrip().endswith("data: [DONE]")


async def test_failures_are_recorded_with_their_reason_and_what_was_tried(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    vendor = await start_vendor(Play.json({"error": {"message": "no such luck"}}, 400))
    node = await start_node(provider(vendor))
    url = node.listening[0].url
    async with http.post(f"{url}/v1/chat/completions", json=BODY) as reply:
        assert reply.status == 400
    async with http.post(f"{url}/v1/chat/completions", json={"model": "x"}) as reply:
        assert reply.status == 400
    async with http.get(f"{url}/no/such/thing") as reply:
        assert reply.status == 404
    rows = await recorded(http, node, "?status=failed", until=lambda rows: len(rows) == 3)
    by_endpoint = {row["endpoint"]: row for row in rows}
    assert by_endpoint["unknown"]["path"] == "/no/such/thing"
    refused = next(row for row in rows if row["error"] == "upstream_rejected")
    assert refused["provider"] == "primary" and refused["model"] == "primary/m"
    assert [row["message"] for row in await recorded(http, node, "?text=missing messages")]
    assert not await recorded(http, node, "?text=nowhere", until=lambda _: True)


async def test_a_stream_that_breaks_is_recorded_as_broken(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    vendor = await start_vendor(Play.sse(*STREAM[:2], end="reset"))
    node = await start_node(provider(vendor) + '[router]\nmid_stream = "error"\n')
    async with http.post(
        f"{node.listening[0].url}/v1/chat/completions", json={**BODY, "stream": True}
    ) as reply:
        await reply.read()
    (row,) = await recorded(http, node)
    assert row["status"] == 200 and row["error"] == "upstream_unavailable" and row["output_tokens"]


async def test_a_key_sees_its_tenant_the_auditor_sees_all_and_changes_nothing(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    vendor = await start_vendor(Play.json(ANSWER))
    node = await start_node(
        provider(vendor)
        + keys(
            admin='scopes = ["admin"]',
            auditor='scopes = ["audit"]',
            red='tenant = "red"\nteam = "r"',
            blue='tenant = "blue"',
            chains='tenant = "blue"\nscopes = []',
        )
    )
    url = node.listening[0].url

    def who(name: str) -> dict[str, str]:
        return {"authorization": f"Bearer {name}-key"}

    for name in ("red", "blue"):
        headers = {**who(name), "x-request-id": f"of-{name}", "x-session-id": "same"}
        async with http.post(f"{url}/v1/chat/completions", json=BODY, headers=headers) as reply:
            assert reply.status == 200
    everything = await recorded(http, node, "?models_only=1", ADMIN, until=lambda rows: len(rows) == 2)
    assert {row["tenant"] for row in everything} == {"red", "blue"}
    assert len(await recorded(http, node, "?models_only=1", who("auditor"))) == 2
    assert [row["request_id"] for row in await recorded(http, node, "", who("red"))] == ["of-red"]
    # asking for another's tenant gets one's own
    assert [row["tenant"] for row in await recorded(http, node, "?tenant=blue", who("red"))] == ["red"]
    for path in ("/admin/requests/of-blue", "/admin/sessions/of-blue"):
        async with http.get(f"{url}{path}", headers=who("red")) as reply:
            assert reply.status == 404
    async with http.get(f"{url}/admin/sessions/same", headers=who("red")) as reply:
        assert [row["tenant"] for row in (await reply.json())["data"]] == ["red"]
    async with http.get(f"{url}/admin/usage?by=tenant", headers=who("red")) as reply:
        assert [group["tenant"] for group in (await reply.json())["data"]] == ["red"]
    async with http.get(f"{url}/admin/requests/export?format=jsonl", headers=who("red")) as reply:
        assert [json.loads(line)["tenant"] for line in (await reply.text()).splitlines()] == ["red"]
    async with http.get(f"{url}/admin/keys", headers=who("auditor")) as reply:
        assert reply.status == 403
    async with http.get(f"{url}/admin/requests", headers=who("chains")) as reply:
        assert reply.status == 403
    async with http.get(f"{url}/admin/requests") as reply:
        assert reply.status == 401


async def test_content_is_kept_only_where_configuration_and_key_allow_it_and_never_with_secrets_or_files(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    vendor = await start_vendor(Play.json(ANSWER))
    node = await start_node(
        provider(vendor)
        + '[records]\ncontent = "all"\n'
        + keys(admin='scopes = ["admin"]', open="", shy='record = "off"', errors='record = "errors"')
    )
    url = node.listening[0].url
    picture = "data:image/png;base64," + "QUJD" * 400
    said = "my key is sk-abcdefgh12345678 and sk-secret-of-primary"
    content = [{"type": "text", "text": said}, {"type": "image_url", "image_url": {"url": picture}}]
    for name in ("open", "shy", "errors"):
        headers = {"authorization": f"Bearer {name}-key", "x-request-id": f"by-{name}"}
        body = {"model": "primary/m", "messages": [{"role": "user", "content": content}]}
        async with http.post(f"{url}/v1/chat/completions", json=body, headers=headers) as reply:
            assert reply.status == 200
    await recorded(http, node, "", ADMIN, until=lambda rows: len(rows) == 3)

    async def whole(name: str) -> Any:
        async with http.get(f"{url}/admin/requests/by-{name}", headers=ADMIN) as reply:
            return await reply.json()

    kept = await whole("open")
    assert "my key is" in kept["asked"] and "sha256:" in kept["asked"] and "Hello there." in kept["answered"]
    for secret in ("sk-abcdefgh12345678", "sk-secret-of-primary", "QUJDQUJD"):
        assert secret not in json.dumps(kept)
    assert (await whole("shy"))["asked"] is None and (await whole("errors"))["asked"] is None
    assert [row["request_id"] for row in await recorded(http, node, "?text=hello there", ADMIN)] == [
        "by-open"
    ]


async def test_a_streamed_answer_is_kept_as_it_was_said(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    vendor = await start_vendor(Play.sse(*STREAM))
    node = await start_node(provider(vendor) + '[records]\ncontent = "all"\n')
    async with http.post(
        f"{node.listening[0].url}/v1/chat/completions",
        json={**BODY, "stream": True},
        headers={"x-request-id": "one"},
    ) as reply:
        await reply.read()
    await recorded(http, node)
    async with http.get(f"{node.listening[0].url}/admin/requests/one") as reply:
        row = await reply.json()
    assert json.loads(row["answered"])["choices"][0]["content"] == "Hello there."


async def test_an_answer_is_kept_also_where_it_was_asked_for_in_another_dialect(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    vendor = await start_vendor(Play.json(ANSWER))
    node = await start_node(provider(vendor) + '[records]\ncontent = "all"\n')
    body = {"model": "primary/m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}
    async with http.post(f"{node.listening[0].url}/v1/messages", json=body) as reply:
        assert reply.status == 200, await reply.text()
    row = (await recorded(http, node))[0]
    async with http.get(f"{node.listening[0].url}/admin/requests/{row['id']}") as reply:
        told = await reply.json()
    said = ANSWER["choices"][0]["message"]["content"]
    assert json.loads(told["answered"])["choices"][0]["content"] == said


async def test_usage_is_told_by_every_name_and_adds_up(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    vendor = await start_vendor(Play.json(ANSWER))
    node = await start_node(priced(vendor))
    url = node.listening[0].url
    for number in range(4):
        body = {
            **BODY,
            "model": "pair",
            "user": f"u{number % 2}",
            "metadata": {"tags": ["all", f"t{number}"]},
        }
        async with http.post(f"{url}/v1/chat/completions", json=body, headers={"x-session-id": "s"}) as reply:
            assert reply.status == 200
    await recorded(http, node, until=lambda rows: len(rows) == 4)
    dearest = (await recorded(http, node))[0]["dearest_usd"]
    each = (await recorded(http, node))[0]["cost_usd"]
    groups = {
        "model": 1,
        "provider": 1,
        "key": 1,
        "user": 2,
        "tag": 5,
        "session": 1,
        "day": 1,
        "hour": 1,
        "team": 0,
    }
    for by, count in groups.items():
        async with http.get(f"{url}/admin/usage", params={"by": by, "days": "1"}) as reply:
            told = await reply.json()
        assert told["total"]["requests"] == 4 and told["total"]["cost_usd"] == pytest.approx(4 * each)
        assert told["total"]["saved_usd"] == pytest.approx(4 * (dearest - each))
        assert told["total"]["p50"] <= told["total"]["p95"] <= told["total"]["p99"]
        if by not in ("day", "hour"):  # midnight may pass
            assert len(told["data"]) == count, by
        if by != "tag":
            assert sum(group["requests"] for group in told["data"]) in (4, 0)


async def test_new_requests_are_told_as_they_come_and_all_can_be_taken_away_as_a_file(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    vendor = await start_vendor(Play.json(ANSWER))
    node = await start_node(provider(vendor))
    url = node.listening[0].url
    async with http.get(f"{url}/admin/requests/stream?model=primary/m") as stream:
        assert stream.headers["content-type"] == "text/event-stream"
        assert (await stream.content.readline()).startswith(b":")
        for number in range(3):
            body = {**BODY, "user": "=cmd()"}
            async with http.post(
                f"{url}/v1/chat/completions", json=body, headers={"x-request-id": f"r{number}"}
            ) as reply:
                assert reply.status == 200
        seen: list[str] = []
        async with asyncio.timeout(60):
            while len(seen) < 3:
                line = await stream.content.readline()
                if line.startswith(b"data: "):
                    seen.append(json.loads(line[6:])["request_id"])
        assert seen == ["r0", "r1", "r2"]
    async with http.get(f"{url}/admin/requests/export?format=csv") as reply:
        assert "attachment" in reply.headers["content-disposition"]
        lines = list(csv.DictReader(io.StringIO(await reply.text())))
    assert [line["request_id"] for line in lines] == ["r2", "r1", "r0"]
    assert lines[0]["user"] == "'=cmd()", "a spreadsheet must not run it"


@pytest.mark.parametrize(
    "query",
    [
        "limit=0", "limit=x", "limit=100000", "cursor=abc", "cursor=99999999999999999999", "status=abc", "status=700",
        "min_cost=-1", "min_cost=nan", "min_latency=x", "from=yesterday", "from=nan", "from=1e300", "days=0", "days=inf",
        "text=%20", "nonsense=1", "from=2026-13-01",
    ],
)  # fmt: skip
async def test_a_wrong_question_is_told_which_word_is_wrong(
    start_node: StartNode, http: aiohttp.ClientSession, query: str
) -> None:
    node = await start_node()
    async with http.get(f"{node.listening[0].url}/admin/requests?{query}") as reply:
        body = await reply.json()
        assert reply.status == 400, body
    assert query.partition("=")[0] in body["error"]["message"]


async def test_feedback_right_behind_the_answer_finds_its_row(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    vendor = await start_vendor(Play.json(ANSWER))
    node = await start_node(provider(vendor))
    url = node.listening[0].url
    for score in (True, 0.5):
        async with http.post(f"{url}/v1/chat/completions", json=BODY) as reply:
            assert reply.status == 200, await reply.text()
            request_id = reply.headers["x-request-id"]
        async with http.post(f"{url}/v1/feedback", json={"request_id": request_id, "score": score}) as reply:
            assert reply.status == 200, await reply.text()
        async with http.get(f"{url}/admin/requests/{request_id}") as reply:
            assert (await reply.json())["feedback"]["score"] == score


async def test_nothing_is_recorded_where_that_is_switched_off(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    vendor = await start_vendor(Play.json(ANSWER))
    node = await start_node(provider(vendor) + "[records]\nenabled = false\n")
    url = node.listening[0].url
    async with http.post(f"{url}/v1/chat/completions", json=BODY) as reply:
        assert reply.status == 200
    async with http.get(f"{url}/admin/requests") as reply:
        assert reply.status == 404 and "records.enabled" in await reply.text()
    assert not (node.loaded.settings.paths.data_dir / "requests.db").exists()


async def test_responses_that_go_on_from_one_another_are_one_session(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    vendor = await start_vendor(Play.json(ANSWER))
    node = await start_node(provider(vendor))
    url, previous, first = node.listening[0].url, None, ""
    for _ in range(3):
        body = {
            "model": "primary/m",
            "input": "Hi",
            **({"previous_response_id": previous} if previous else {}),
        }
        async with http.post(f"{url}/v1/responses", json=body) as reply:
            assert reply.status == 200, await reply.text()
            previous = (await reply.json())["id"]
        first = first or previous
    await recorded(http, node, f"?session={first}", until=lambda rows: len(rows) == 3)


async def test_a_stranger_who_floods_a_node_does_not_fill_its_record(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    vendor = await start_vendor(Play.json(ANSWER))
    node = await start_node(provider(vendor) + keys(admin='scopes = ["admin"]', me=""))
    url = node.listening[0].url
    for number in range(600):
        path = "/nowhere" if number % 2 else "/v1/models"
        async with http.get(f"{url}{path}") as reply:
            assert reply.status in (401, 404)
    me = {"authorization": "Bearer me-key"}
    async with http.post(f"{url}/v1/chat/completions", json=BODY, headers=me) as reply:
        assert reply.status == 200
    await recorded(http, node, "?models_only=1", ADMIN)
    strange = await recorded(http, node, "?status=failed&limit=1000", ADMIN)
    assert 200 <= len(strange) < 500, "some are kept, to be seen"
    async with http.get(f"{url}/metrics") as reply:
        text = await reply.text()
    assert "intellirouter_records_withheld_total" in text
    async with http.get(f"{url}/health") as reply:
        assert (await reply.json())["parts"]["records"]["status"] == "healthy", (
            "nothing is wrong with the node"
        )
