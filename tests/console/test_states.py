"""Every page of the console in each state it can be in: empty, full, refused, hanging, signed out."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Route, expect

from scripts.console_node import BOSS, console_node
from tests.console.conftest import Seat, browser, seat
from tests.console.flows import PAGES, sign_in

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(600)]
HEADERS = {"authorization": f"Bearer {BOSS}"}
EMPTY = {
    "": "Send the first request", "requests": "No request yet", "usage": "Nothing was used in this time", "routing": "Nothing was learnt yet",
    "playground": "Say something to begin", "documents": "No collection yet", "chains": "No chain yet", "keys": "No key yet",
}  # fmt: skip
ROLES_API = "**/console/api/{router,chains,rag,personas}/**"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def started() -> AsyncIterator[Browser]:
    async with browser() as found:
        yield found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bare(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """The address of a node that nobody has asked anything."""
    async with console_node(tmp_path_factory.mktemp("bare"), keys=True) as (node, _):
        yield node.listening[0].url


async def again(found: Seat) -> None:
    """Press every "Try again", unless the page did by itself already, and see that nothing is refused any more."""
    await found.page.evaluate(
        "document.querySelectorAll('main [role=alert] button').forEach((one) => one.click())"
    )
    await expect(found.page.get_by_role("alert")).to_have_count(0)


async def test_an_empty_page_says_so_and_leads_on(started: Browser, bare: str) -> None:
    async with seat(started, bare) as found:
        await sign_in(found)
        for name, title in PAGES.items():
            await found.turn_to(title)
            if name in EMPTY:
                await expect(found.page.locator("main").get_by_text(EMPTY[name])).to_be_visible()
        # the first request is seen to arrive
        await found.turn_to("Overview")
        await expect(found.page.get_by_text("Waiting for a request")).to_be_visible()
        body = {"model": "swift", "messages": [{"role": "user", "content": "Hello"}]}
        async with (
            aiohttp.ClientSession(headers=HEADERS) as session,
            session.post(f"{bare}/v1/chat/completions", json=body) as told,
        ):
            assert told.status == 200
        await expect(found.page.get_by_role("region", name="Latest requests").first).to_be_visible()


async def test_where_alerts_are_off_nothing_is_said_to_be_well(started: Browser, bare: str) -> None:
    async def off(route: Route) -> None:
        past = route.request.url.partition("?")[0].endswith("/history")
        lists: dict[str, list[object]] = {name: [] for name in ("data", "silences", "channels", "rules")}
        await route.fulfill(json={"data": []} if past else {"enabled": False, **lists})

    async with seat(started, bare) as found:
        await sign_in(found)
        await found.page.route("**/console/api/router/admin/alerts*", off)
        await found.page.route("**/console/api/router/admin/alerts/**", off)
        await found.turn_to("Alerts")
        await expect(found.page.get_by_text("Alerts are off.")).to_be_visible()
        await expect(found.page.get_by_text("All is well")).to_have_count(0)
        await expect(found.page.get_by_text("No channel")).to_have_count(0)


@pytest.mark.parametrize("status", [500, 503])
async def test_a_page_tells_what_the_node_refused_and_asks_again(
    started: Browser, bare: str, status: int
) -> None:
    said = f"The store is away ({status})."

    async def refuse(route: Route) -> None:
        await route.fulfill(status=status, json={"error": {"message": said, "code": "state_unavailable"}})

    async with seat(started, bare) as found:
        await sign_in(found)
        found.refusals = True
        for title in PAGES.values():
            await found.page.route(ROLES_API, refuse)
            await found.turn_to(title)
            await expect(found.page.get_by_role("alert").first).to_be_visible()
            if title != "Overview":  # which tells each role that does not answer
                await expect(found.page.get_by_text(said).first).to_be_visible()
            await found.page.unroute(ROLES_API)
            await again(found)
            await found.settled()


async def test_a_page_does_not_hang_with_its_node(started: Browser, bare: str) -> None:
    async def hold(_: Route) -> None:
        """Never answered."""

    async with seat(started, bare) as found:
        await found.page.clock.install()
        await sign_in(found)
        found.refusals = True
        for title in PAGES.values():
            await found.page.route(ROLES_API, hold)
            await found.page.get_by_role("navigation").get_by_role("link", name=title, exact=True).click()
            await expect(found.page.get_by_role("heading", level=1, name=title, exact=True)).to_be_visible()
            await found.page.clock.run_for(31_000)
            await expect(found.page.get_by_role("alert").first).to_be_visible()
            await found.page.unroute(ROLES_API)
        await again(found)
        await found.settled()


async def test_a_console_without_its_node_waits_for_it(started: Browser, bare: str) -> None:
    async with seat(started, bare) as found:
        found.refusals = True
        await found.page.route("**/console/api/session", lambda route: route.abort())
        await found.page.goto(f"{bare}/console/models")
        await expect(found.page.get_by_role("heading", name="The node does not answer")).to_be_visible()
        await found.page.unroute("**/console/api/session")
        await expect(found.page.get_by_label("API key")).to_be_visible()


async def test_a_file_that_did_not_come_is_asked_for_again(started: Browser, bare: str) -> None:
    async with seat(started, bare) as found:
        await sign_in(found)
        found.refusals = True
        await found.page.route("**/console/pages/models.js", lambda route: route.abort())
        await found.page.goto(f"{bare}/console/models")
        await expect(found.page.get_by_role("heading", level=1, name="Models")).to_be_visible()
        for file in ("ui.js", "app.js"):
            left = 2

            async def once_more(route: Route) -> None:
                nonlocal left
                left -= 1
                await (route.abort() if left >= 0 else route.continue_())

            await found.page.route(f"**/console/{file}", once_more)
            await found.page.goto(f"{bare}/console/usage")
            await expect(found.page.get_by_role("heading", level=1, name="Usage")).to_be_visible()


async def test_who_is_signed_out_sees_the_sign_in_and_then_the_page_that_was_asked_for(
    started: Browser, bare: str
) -> None:
    async with seat(started, bare) as found:
        for name in PAGES:
            await found.page.goto(f"{bare}/console/{name}")
            await expect(found.page.get_by_role("heading", name="Sign in to IntelliRouter")).to_be_visible()
            assert not await found.page.get_by_role("navigation").count()
        found.refusals = True
        await found.page.get_by_label("API key").fill("sk-wrong")
        await found.page.get_by_role("button", name="Sign in").click()
        await expect(found.page.get_by_role("alert")).to_be_visible()
        await sign_in(found, "models?find=swift")
        await expect(found.page.get_by_role("heading", level=1, name="Models")).to_be_visible()
        await expect(found.page.get_by_role("searchbox", name="Search")).to_have_value("swift")


async def test_a_session_that_ends_meanwhile_leads_to_the_sign_in_and_back(
    started: Browser, bare: str
) -> None:
    async with seat(started, bare) as found:
        await sign_in(found, "usage?by=tag")
        await found.settled()
        found.refusals = True
        await found.page.evaluate(
            "fetch('/console/api/session').then((told) => told.json()).then(({token}) => "
            "fetch('/console/api/session', {method: 'DELETE', headers: {'x-console-token': token}}))"
        )
        await found.page.get_by_label("Time").select_option("30")
        await expect(found.page.get_by_text("Your sign-in has ended")).to_be_visible()
        await found.page.get_by_label("API key").fill(BOSS)
        await found.page.get_by_role("button", name="Sign in").click()
        await expect(found.page.get_by_role("heading", level=1, name="Usage")).to_be_visible()
        await expect(found.page.get_by_label("By", exact=True)).to_have_value("tag")
        await expect(found.page.get_by_label("Time")).to_have_value("30")
        await found.settled()


async def test_back_and_a_reload_lead_where_one_was(started: Browser, bare: str) -> None:
    async with seat(started, bare) as found:
        await sign_in(found)
        await found.turn_to("Requests")
        await found.page.get_by_label("Status").select_option("failed")
        await expect(found.page.get_by_text("No request fits")).to_be_visible()
        await found.page.reload()
        await expect(found.page.get_by_label("Status")).to_have_value("failed")
        await found.turn_to("Models")
        await found.page.go_back()
        await expect(found.page.get_by_label("Status")).to_have_value("failed")
        await found.page.go_back()
        await expect(found.page.get_by_label("Status")).to_have_value("")
        await found.page.go_back()
        await expect(found.page.get_by_role("heading", level=1, name="Overview")).to_be_visible()
        await found.page.go_forward()
        await expect(found.page.get_by_role("heading", level=1, name="Requests")).to_be_visible()
