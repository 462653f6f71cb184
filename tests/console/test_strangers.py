"""What strangers write stays text on every page, and what other sites do to the console stays without effect."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Route, expect

from intellirouter.app.node import Node
from scripts.console_node import BOSS, console_node
from tests.console.conftest import browser, seat
from tests.console.flows import sign_in
from tests.servers.minilm import minilm
from tests.servers.vendor import Play, Received, Vendor

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(600)]
HEADERS = {"authorization": f"Bearer {BOSS}"}


def evil(where: str) -> str:
    """Text that tells, where it became a piece of a page, who let it."""
    return f"<img src=x onerror=\"window.evil='{where}'\"><script>window.evil='{where}'</script>"


def spiteful(_: Received) -> Play:
    """A vendor whose every word is an attack: text, Markdown, tool calls, the model's name, its error."""
    text = f"{evil('answer')} [a](javascript:window.evil=1) ![b](https://elsewhere.example/pixel.png) <a href='javascript:window.evil=1'>c</a>"
    call = {
        "id": "call_1",
        "type": "function",
        "function": {"name": "lookup", "arguments": json.dumps({"q": evil("tool call")})},
    }
    chunk = {"id": "1", "created": 1, "model": evil("model"), "object": "chat.completion.chunk"}
    deltas = [
        {"content": text, "reasoning_content": evil("thought")},
        {"tool_calls": [{"index": 0, **call}]},
    ]
    events = [{**chunk, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    return Play.sse(*(json.dumps(event).encode() for event in events), b"[DONE]")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def node(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Node, Vendor]]:
    async with console_node(tmp_path_factory.mktemp("strangers"), keys=True, model=minilm()) as found:
        yield found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def started() -> AsyncIterator[Browser]:
    async with browser() as found:
        yield found


async def test_what_a_stranger_writes_stays_text_on_every_page(
    started: Browser, node: tuple[Node, Vendor]
) -> None:
    urls = {one.role: one.url for one in node[0].listening}
    async with aiohttp.ClientSession(headers=HEADERS) as http:

        async def send(method: str, url: str, **more: object) -> dict[str, object]:
            async with http.request(method, url, **more) as reply:  # type: ignore[arg-type]
                body = await reply.read()
                told = json.loads(body) if "json" in reply.content_type else {}
                return {"status": reply.status, **(told if isinstance(told, dict) else {})}

        router = urls["Router"]
        spoken = {"messages": [{"role": "user", "content": evil("prompt")}], "user": evil("user")}
        said = {
            **spoken,
            "model": "swift",
            "metadata": {"tags": evil("tag"), "user_id": evil("user id")},
        }
        named = {"x-session-id": evil("session"), "user-agent": evil("agent")}
        told = await send("POST", f"{router}/v1/chat/completions", json=said, headers=named)
        assert told["status"] == 200
        await send("POST", f"{router}/v1/chat/completions", json={**spoken, "model": evil("asked model")})
        async with asyncio.timeout(60):  # they are written a moment later
            while True:
                rows = (await send("GET", f"{router}/admin/requests?limit=5"))["data"]
                assert isinstance(rows, list)
                if rows:
                    break
                await asyncio.sleep(0.05)
        await send(
            "POST",
            f"{router}/v1/feedback",
            json={"request_id": rows[-1]["request_id"], "score": 0, "comment": evil("feedback")},
        )
        await send(
            "POST", f"{router}/admin/keys", json={"name": evil("key"), "team": evil("team"), "tenant": "acme"}
        )
        await send(
            "POST", f"{router}/admin/models", json={"name": evil("model name"), "targets": ["lab/swift"]}
        )
        source = f'name = "rude"\ntitle = {json.dumps(evil("title"))}\ndescription = {json.dumps(evil("about"))}\nprompt = {json.dumps(evil("persona"))}\n'
        await send("PUT", f"{urls['PersonaLayer']}/v1/personas/rude", json={"source": source})
        definition = {
            "chain": {"name": "rude", "version": 1, "description": evil("chain")},
            "input": {"text": {"type": "string"}},
            "steps": [
                {"id": "say", "set": {"text": "input.text"}},
                {"id": "ask", "wait": {"signal": "go"}},
            ],
        }
        kept = await send("PUT", f"{urls['ChainEngine']}/v1/chains/rude", json={"definition": definition})
        assert kept["status"] in (200, 201), kept
        run = await send(
            "POST",
            f"{urls['ChainEngine']}/v1/chains/rude/runs",
            json={"input": {"text": evil("run")}, "mode": "background"},
        )
        rag = f"{urls['RagManager']}/rag/v1/collections"
        await send("POST", rag, json={"name": "rude"})
        taken = await send(
            "POST", f"{rag}/rude/documents", params={"name": "<b>rude.md"}, data=f"# Warranty\n\n{evil('document')} lasts two years.",
            headers={"content-type": "text/markdown"},
        )  # fmt: skip
        assert taken["status"] in (200, 201, 202), taken
    async with seat(started, router) as found:
        await sign_in(found)
        found.refusals = True
        for page in (
            "", "requests?every=1", *(f"requests/{row['id']}" for row in rows), *(f"usage?by={by}" for by in ("model", "user", "tag", "team", "session")),
            "models", "keys", "personas", "personas/rude", "chains", "chains/rude", f"chains/run/{run['id']}", "documents", "documents/rude", "system",
        ):  # fmt: skip
            await found.open(page)
            assert await found.page.evaluate("window.evil") is None, page
        session = found.page.get_by_text("onerror")
        await found.open("requests")
        await expect(session.first).to_be_visible()  # it is shown, as what it is
        await found.open("documents/rude")
        await found.page.get_by_placeholder("Question").fill("How long is the warranty?")
        await found.page.get_by_role("button", name="Search").click()
        await expect(found.page.get_by_text("lasts two years").first).to_be_visible()
        assert await found.page.evaluate("window.evil") is None
    assert not found.elsewhere


async def test_what_a_model_answers_can_do_nothing_and_fetches_nothing(
    started: Browser, node: tuple[Node, Vendor]
) -> None:
    before = node[1].answers
    node[1].answers = [spiteful]
    try:
        async with seat(started, node[0].listening[0].url) as found:
            await sign_in(found)
            await found.turn_to("Playground")
            await found.page.get_by_label("Message").fill(evil("message"))
            await found.page.get_by_role("button", name="Send").click()
            await expect(found.page.locator(".prose").first).to_be_visible()
            await expect(found.page.get_by_text("lookup(")).to_be_visible()
            await found.page.get_by_text("Reasoning").first.click()
            assert await found.page.evaluate("window.evil") is None
            hrefs = await found.page.evaluate("[...document.querySelectorAll('.prose a')].map((a) => a.href)")
            assert not [href for href in hrefs if href.startswith("javascript:")]
            await found.settled()
    finally:
        node[1].answers = before


async def test_another_site_can_neither_frame_the_console_nor_send_for_its_visitor(
    started: Browser, node: tuple[Node, Vendor]
) -> None:
    url = node[0].listening[0].url
    other = f"""<iframe id="framed" src="{url}/console/keys"></iframe>
      <form id="forged" method="post" enctype="text/plain" action="{url}/console/api/router/admin/keys"><input name='{{"name": "forged", "x":"' value='"}}'></form>"""

    async def answer(route: Route) -> None:
        await route.fulfill(content_type="text/html", body=other)

    async with seat(started, url) as found:
        await sign_in(found)
        page = await found.context.new_page()
        await page.route("http://elsewhere.example/**", answer)
        await page.goto("http://elsewhere.example/")
        framed = await (await page.query_selector("#framed")).content_frame()  # type: ignore[union-attr]
        assert framed is not None
        assert not await framed.locator("#app").count()
        sent = """fetch(url + "/console/api/router/admin/keys", {method: "POST", mode: "no-cors", credentials: "include", body: '{"name": "forged"}'})"""
        await page.evaluate(f"(url) => {sent}.then(() => 1, () => 1)", url)
        await page.evaluate("document.getElementById('forged').submit()")
        await page.wait_for_load_state()
        await page.close()
        await found.turn_to("Keys and people")
        await expect(found.page.get_by_text("forged")).to_have_count(0)
