"""Hooks: who is told of runs, at least once and under one id; who is asked before steps."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from pydantic import ValidationError

from intellirouter.config.schema.chain_engine import ChainHook
from intellirouter.errors import PeerUnavailable
from intellirouter.roles.chain_engine.hooks.notices import Notices
from intellirouter.roles.chain_engine.keys import ENGINE
from intellirouter.security.webhook_signing import holds, signed
from tests.conftest import StartNode
from tests.roles.chain_engine.test_api import Client

QUICK = "chain: {name: quick}\nsteps: [{id: nap, sleep: 1ms}, {id: s, set: {x: \"'y'\"}}]\noutput: steps.s"


class Receiver:
    """A service that checks signatures, writes down what it hears, and answers as told."""

    def __init__(self) -> None:
        self.heard: list[dict[str, Any]] = []
        self.answers: list[tuple[int, Any]] = []
        self.news = asyncio.Event()
        self.verdict: Callable[[dict[str, Any]], Any] = lambda _data: {"allow": True}
        app = web.Application()
        app.router.add_post("/{hook}", self._handle)
        self.server = TestServer(app)

    async def _handle(self, request: web.Request) -> web.Response:
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        assert holds("word", headers, body, time.time())
        assert not holds("other", headers, body, time.time())
        told = json.loads(body)
        assert told["id"] == headers["webhook-id"]
        self.heard.append(told)
        self.news.set()
        status, said = self.answers.pop(0) if self.answers else (200, self.verdict(told))
        return web.json_response(said, status=status)

    def toml(self, name: str, kind: str, more: str = "") -> str:
        url = self.server.make_url(f"/{name}")
        return f'[chain_engine.hooks.{name}]\nkind = "{kind}"\nsecret = "word"\nurl = "{url}"\n{more}\n'

    async def until(self, count: int) -> list[dict[str, Any]]:
        async with asyncio.timeout(60):
            while len(self.heard) < count:
                self.news.clear()
                await self.news.wait()
        return self.heard


@contextlib.asynccontextmanager
async def receiver() -> AsyncIterator[Receiver]:
    made = Receiver()
    await made.server.start_server()
    try:
        yield made
    finally:
        await made.server.close()


async def _settled(ask: Client, status: str, count: int = 1) -> Any:
    """The deliveries of `status` once they are `count`: an answer is written down after it was heard."""
    async with asyncio.timeout(60):
        while True:
            _, found = await ask("GET", f"/v1/hooks?status={status}")
            if len(found["data"]) == count:
                return found["data"]
            await asyncio.sleep(0.02)


async def test_an_evaluation_is_asked_for_again_and_kept_with_its_run(
    start_node: StartNode, http: aiohttp.ClientSession
) -> None:
    async with receiver() as there:
        there.answers = [(500, {}), (200, {"score": 0.7, "why": "short"})]
        node = await start_node(there.toml("judge", "evaluate", 'chains = ["qu*"]'), role="ChainEngine")
        ask = Client(http, node.listening[0].url)
        judged: list[tuple[str, bytes]] = []

        async def judge(hook: str, _run: str, answer: bytes, _steps: Any) -> None:
            judged.append((hook, answer))
            if len(judged) == 1:  # the score is told again, and the hook not asked again
                raise PeerUnavailable("The Router is away.")

        node.opened[ENGINE].hooks.judge = judge
        for name in ("quick", "other"):
            await ask("PUT", f"/v1/chains/{name}", {"source": QUICK.replace("name: quick", f"name: {name}")})
        await ask("POST", "/v1/chains/other/runs", {"mode": "wait"})
        _, run = await ask("POST", "/v1/chains/quick/runs", {"mode": "wait"})
        first, second = await there.until(2)
        assert first == second
        assert (first["type"], first["hook"]) == ("run.ended", "judge")
        assert first["data"]["run"]["id"] == run["id"]
        assert first["data"]["run"]["output"] == {"x": "y"}
        assert [step["path"] for step in first["data"]["steps"]] == ["nap"]
        (done,) = await _settled(ask, "delivered")
        assert (done["run"], done["attempts"]) == (run["id"], 3)
        assert (len(there.heard), judged) == (2, [("judge", b'{"score":0.7,"why":"short"}')] * 2)
        _, seen = await ask("GET", f"/v1/runs/{run['id']}")
        assert seen["evaluations"] == [{"hook": "judge", "result": {"score": 0.7, "why": "short"}}]


async def test_what_is_given_up_can_be_tried_again(
    start_node: StartNode, http: aiohttp.ClientSession
) -> None:
    async with receiver() as there:
        there.answers = [(503, {}), (503, {})]
        node = await start_node(there.toml("judge", "evaluate", "max_attempts = 1"), role="ChainEngine")
        ask = Client(http, node.listening[0].url)
        await ask("PUT", "/v1/chains/quick", {"source": QUICK})
        for _ in range(2):
            await ask("POST", "/v1/chains/quick/runs", {"mode": "wait"})
        await there.until(2)
        dead = await _settled(ask, "dead", 2)
        assert dead[0]["error"] == "It answered 503."
        assert (await ask("POST", "/v1/hooks/none/retry", {}))[0] == 404
        assert (await ask("POST", f"/v1/hooks/{dead[0]['id']}/retry", {}))[1]["retried"] == 1
        heard = await there.until(3)
        assert heard[2]["id"] == dead[0]["id"]
        assert (await _settled(ask, "delivered"))[0]["id"] == dead[0]["id"]
        assert (await ask("GET", "/v1/hooks?status=nothing"))[0] == 400


async def test_telemetry_goes_in_batches(start_node: StartNode, http: aiohttp.ClientSession) -> None:
    async with receiver() as there:
        more = "batch_size = 3\nflush_interval = 3600"
        ask = Client(
            http,
            (await start_node(there.toml("tuner", "optimise", more), role="ChainEngine")).listening[0].url,
        )
        await ask("PUT", "/v1/chains/quick", {"source": QUICK})
        runs = [(await ask("POST", "/v1/chains/quick/runs", {"mode": "wait"}))[1]["id"] for _ in range(4)]
        (batch,) = await there.until(1)
        assert batch["type"] == "telemetry.batch"
        told = [item["run"]["id"] for item in batch["items"]]
        assert len(set(told)) == 3
        assert set(told) < set(runs)
        assert {done["run"] for done in await _settled(ask, "delivered", 3)} == set(told)
        assert len((await ask("GET", "/v1/hooks?status=pending"))[1]["data"]) == 1


ASKING = """
chain: {name: asking}
steps:
  - {id: ok, wait: {signal: approval, title: Buy tea?, assignee: ann, escalate: {after: 300ms, to: bob}, timeout: 1d}}
  - {id: sure, wait: {signal: approval}}
output: {a: steps.ok.ok, b: steps.sure.ok}
"""


async def test_whoever_is_asked_is_told_with_a_link(
    start_node: StartNode, http: aiohttp.ClientSession
) -> None:
    async with receiver() as there:
        there.answers = [(503, {})]
        base = 'link_base = "https://chains.example.com/"\nchains = ["ask*"]'
        other = there.toml("elsewhere", "notify", 'link_base = "https://x.example"\nchains = ["none"]')
        node = await start_node(there.toml("inbox", "notify", base) + other, role="ChainEngine")
        ask = Client(http, node.listening[0].url)
        await ask("PUT", "/v1/chains/asking", {"source": ASKING})
        _, run = await ask("POST", "/v1/chains/asking/runs", {"mode": "background"})

        def said(kind: str, step: str) -> list[dict[str, Any]]:
            found = [told for told in there.heard if told["type"] == f"approval.{kind}"]
            return [told for told in found if told["data"]["step"] == step]

        async def heard(kind: str, step: str) -> dict[str, Any]:
            async with asyncio.timeout(60):
                while not (found := said(kind, step)):
                    there.news.clear()
                    await there.news.wait()
            return found[-1]["data"]

        await there.until(3)  # the first was not taken, and came again under its id
        asked, escalated = await heard("asked", "ok"), await heard("escalated", "ok")
        assert (asked["run"], asked["title"], asked["assignee"]) == (run["id"], "Buy tea?", "ann")
        assert (escalated["assignee"], escalated["asked_before"], escalated["tenant"]) == (
            "bob",
            "ann",
            "default",
        )
        assert len({told["id"] for told in there.heard}) == 2
        prefix, path = asked["link"]["url"][:27], asked["link"]["url"][26:]
        assert (prefix, path[:12]) == ("https://chains.example.com/", "/v1/approve/")
        assert asked["link"]["expires_at"] == asked["until"]
        async with http.post(node.listening[0].url + path, data={"ok": "true"}) as reply:
            assert reply.status == 200, await reply.text()
        assert (await heard("asked", "sure"))["assignee"] is None
        delivered = await _settled(ask, "delivered", 3)
        notices = node.opened[ENGINE].hooks.notices
        again = Notices(notices.hooks, notices.outbox, notices.inbox, notices.links, notices.owner)
        await again.note()  # as a node that starts now: it finds the wait, and that it was told of
        assert len(await _settled(ask, "delivered", 3)) == 3
        assert (await ask("GET", "/v1/hooks?status=pending"))[1]["data"] == []
        await ask("POST", f"/v1/runs/{run['id']}/signals/approval", {"ok": False})
        assert (await ask.until(run["id"], "succeeded"))["output"] == {"a": True, "b": False}
        outbox = node.opened[ENGINE].hooks.outbox
        (last,) = [each for each in outbox.listed("default", None, 9) if each.id == delivered[0]["id"]]
        assert await again.told(last) is None  # answered: nobody is told any more


@pytest.mark.parametrize(("kind", "base"), [("notify", None), ("govern", "https://x.example")])
def test_links_are_for_notices(kind: str, base: str | None) -> None:
    with pytest.raises(ValidationError, match="link_base"):
        ChainHook(kind=kind, url="http://x/y", secret="s", link_base=base)  # type: ignore[arg-type]


async def test_a_step_is_refused_before_it_runs(start_node: StartNode, http: aiohttp.ClientSession) -> None:
    async with receiver() as there, receiver() as silent:
        there.verdict = lambda told: {
            "allow": "secret" not in json.dumps(told["data"]["input"]),
            "reason": "No secrets.",
        }
        guarded = there.toml("policy", "govern", 'steps = ["http"]\nchains = ["guarded"]')
        closed = silent.toml("closed", "govern", 'chains = ["closed"]')
        opened = silent.toml("opened", "govern", 'chains = ["opened"]\non_error = "open"')
        allow = f'[outgoing]\nallow = ["127.0.0.1:{silent.server.port}"]\n'
        node = await start_node(guarded + closed + opened + allow, role="ChainEngine")
        ask = Client(http, node.listening[0].url)
        body = "chain: {name: NAME}\ninput: {word: {type: string}}\nsteps: [{id: a, RETRY http: {url: 'URL/x?{{ input.word }}', accept_status: [405]}}]"
        url = str(silent.server.make_url(""))
        for name in ("guarded", "closed", "opened"):
            retry = "retry: {attempts: 3, errors: [any]},"
            source = body.replace("NAME", name).replace("URL", url.rstrip("/")).replace("RETRY", retry)
            assert (await ask("PUT", f"/v1/chains/{name}", {"source": source}))[0] == 201

        async def one(chain: str, word: str) -> Any:
            _, run = await ask("POST", f"/v1/chains/{chain}/runs", {"input": {"word": word}, "mode": "wait"})
            return run

        assert (await one("guarded", "plain"))["status"] == "succeeded"
        refused = await one("guarded", "secret")
        assert (refused["error"]["cause"], "No secrets." in refused["error"]["message"]) == (
            "denied_by_policy",
            True,
        )
        assert [each["data"]["step"] for each in there.heard] == [
            "a",
            "a",
        ]  # asked once for a step, never again
        silent.answers = [(500, {}), (500, {})]
        assert (await one("closed", "x"))["error"]["cause"] == "denied_by_policy"
        assert (await one("opened", "x"))["status"] == "succeeded"


@pytest.mark.parametrize("secret", ["word", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"])
def test_a_signature_holds_for_what_was_signed_alone(secret: str) -> None:
    headers = signed(secret, "msg_1", 1_000.0, b"{}")
    assert holds(secret, headers, b"{}", 1_100.0)
    for changed in ({"webhook-id": "msg_2"}, {"webhook-timestamp": "1001"}, {"webhook-signature": "v1,AAAA"}):
        assert not holds(secret, {**headers, **changed}, b"{}", 1_100.0)
    assert not holds(secret, headers, b"{ }", 1_100.0)
    assert not holds(secret, headers, b"{}", 2_000.0)


def test_the_signature_is_that_of_the_specification() -> None:
    """The example of the Standard Webhooks specification."""
    headers = signed(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        b'{"test": 2432232314}',
    )
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
