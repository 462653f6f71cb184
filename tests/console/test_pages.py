"""Every page of the console in a real browser, before a node with traffic: its look, its errors, its main action."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Literal

import aiohttp
import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from intellirouter.app.node import Node
from intellirouter.memory.store import StateStore
from intellirouter.ops.backup.marks import drilled
from intellirouter.roles.keys import STATE
from intellirouter.roles.router.console.sessions import setup_link
from scripts.console_node import console_node, lessons, traffic
from tests.console.conftest import Seat, browser, seat
from tests.console.flows import EVIL, make_a_collection, write_a_chain, write_a_persona
from tests.servers.minilm import minilm
from tests.servers.vendor import Vendor

pytestmark = pytest.mark.asyncio(loop_scope="module")
PAGES = (
    "", "requests", "usage", "routing", "playground", "personas", "documents", "chains", "models", "keys", "tools",
    "system", "alerts", "audit", "api",
)  # fmt: skip
LOOKS: tuple[tuple[int, Literal["light", "dark"]], ...] = (
    (1280, "light"), (390, "dark"), (375, "light"), (3840, "dark"),
)  # fmt: skip


@dataclass(frozen=True)
class Stage:
    """The node, what it says to a browser, and the browser."""

    node: Node
    vendor: Vendor
    url: str
    started: Browser

    @property
    def store(self) -> StateStore:
        return self.node.opened[STATE]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    folder: Path = tmp_path_factory.mktemp("console")
    async with console_node(folder, model=minilm()) as (node, vendor), browser() as started:
        url = next(listening.url for listening in node.listening if listening.role == "Router")
        await traffic(url, 40)
        yield Stage(node, vendor, url, started)


@pytest_asyncio.fixture(loop_scope="module")
async def operator(stage: Stage) -> AsyncIterator[Seat]:
    async with seat(stage.started, stage.url, setup=await setup_link(stage.store)) as found:
        yield found
        await found.settled()
        assert await found.page.evaluate("window.evil") is None


SETTLED = """async () => {
    // a window for work has room for every column; in a narrow one rows are cards
    const tables = () => innerWidth < 1280 ? [] : [...document.querySelectorAll(".table")];
    const wider = (one, room) => one.scrollWidth - room;
    const over = () => Math.max(wider(document.documentElement, innerWidth), ...tables().map((one) => wider(one, one.clientWidth)));
    for (let looks = 0; looks < 200 && over() > 0; looks++) await new Promise(then => setTimeout(then, 50));
    return over();
}"""
"""Looks by itself: the browser's own waiting compiles its question anew each time, which the console's policy forbids."""


UNEVEN = """() => [...document.querySelectorAll(".table tr")].flatMap((row) => {
    const cells = [...row.querySelectorAll("td")].filter((cell) => cell.offsetParent);
    return cells.filter((cell) => getComputedStyle(cell).paddingLeft !== getComputedStyle(cells[0]).paddingLeft);
}).slice(0, 3).map((cell) => cell.outerHTML.slice(0, 120))"""


async def wider(found: Seat) -> list[str]:
    """What is to be said of a page, or of a table in it, that is wider than its window once it was drawn for that width."""
    over = await found.page.evaluate(SETTLED)
    return [f"{over} px wider than the window"] if over > 0 else []


@pytest.mark.timeout(600)
async def test_every_page_shows_itself_without_an_error_and_can_be_read_by_everybody(stage: Stage) -> None:
    axe = (files("axe_playwright_python") / "axe.min.js").read_text()
    problems: dict[str, list[str]] = {}
    async with seat(stage.started, stage.url, setup=await setup_link(stage.store)) as found:
        for name in PAGES:
            await found.open(name)  # each by its own address, as from a bookmark
            await found.page.evaluate(axe)
            for width, scheme in LOOKS:
                await found.page.set_viewport_size({"width": width, "height": 860})
                await found.page.emulate_media(color_scheme=scheme)
                said = await wider(found)
                if width <= 640 and (uneven := await found.page.evaluate(UNEVEN)):
                    said.append(f"cells of a card that do not begin where the others do: {uneven}")
                if width in (1280, 390):  # what it finds at the others is the same
                    result = await found.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
                    serious = [
                        one for one in result["violations"] if one["impact"] in ("serious", "critical")
                    ]
                    said += [
                        f"{one['id']}: {[node['html'][:120] for node in one['nodes']][:3]}" for one in serious
                    ]
                if said:
                    problems[f"{name or 'overview'} {width} {scheme}"] = said
            await found.settled()
    assert not problems


async def test_the_menu_of_a_low_window_needs_no_scrollbar(operator: Seat) -> None:
    await operator.open("")
    for height in (860, 757, 720, 640):
        await operator.page.set_viewport_size({"width": 1280, "height": height})
        over = await operator.page.evaluate(
            "(() => { const side = document.querySelector('.side'); return side.scrollHeight - side.clientHeight })()"
        )
        assert over <= 0, f"{over} px of the menu are hidden at {height}"


async def test_who_is_not_signed_in_sees_no_administration(stage: Stage) -> None:
    async with seat(stage.started, stage.url) as found:
        await found.open("keys")
        await expect(found.page.get_by_text("intellirouter console")).to_be_visible()
        assert not await found.page.get_by_role("button", name="Make a key").count()


async def test_a_used_setup_link_is_told_as_one(stage: Stage) -> None:
    link = await setup_link(stage.store)
    for time in range(2):
        async with seat(stage.started, stage.url) as found:
            found.refusals = time > 0
            await found.page.goto(f"{stage.url}/console#setup={link}")
            await found.settled()
            shown = await found.page.evaluate(
                "fetch('/console/api/session').then((told) => told.json()).then((told) => told.admin)"
            )
            assert shown is (time == 0)


async def test_a_request_appears_while_one_looks_and_opens_as_a_timeline(
    stage: Stage, operator: Seat
) -> None:
    await operator.open("requests")
    body = {"model": "smart", "user": "visible-person", "messages": [{"role": "user", "content": EVIL}]}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{stage.url}/v1/chat/completions", json=body) as told,
    ):
        assert told.status == 200
    row = operator.page.get_by_role("row").filter(has_text="visible-person")
    await expect(row).to_be_visible()
    await row.get_by_role("link").first.click()
    await expect(operator.page.get_by_role("heading", name="Timeline")).to_be_visible()
    await expect(operator.page.get_by_text("visible-person", exact=True)).to_be_visible()
    decision = operator.page.get_by_role("region", name="Decision")
    # another one may have answered, which stands beside it
    await expect(decision.get_by_text("Asked first")).to_be_visible()
    assert all(await decision.locator("dd").all_inner_texts()), "a name without a value"


DRAWN = """async (values) => {
    const [{ Chart }, { html, render }] = await Promise.all([import("/console/chart.js"), import("/console/lib/preact.js")]);
    const { usd } = await import("/console/ui.js");
    const place = document.createElement("div");
    document.querySelector("main").prepend(place);
    const x = values[0].map((_, n) => 1760000000 + n * 86400);
    const series = values.map((each, n) => ({ name: `s${n}`, values: each }));
    render(html`<${Chart} x=${x} series=${series} kind="beside" format=${usd} label="cost" />`, place);
    while (!place.querySelector("canvas")) await new Promise((then) => setTimeout(then, 20));
    await new Promise((then) => setTimeout(then, 200));
    const canvas = place.querySelector("canvas"), pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
    const hue = (name) => { const one = document.createElement("i"); one.style.color = `var(${name})`; place.append(one);
        return getComputedStyle(one).color.match(/\\d+/g).map(Number); };
    const hues = [hue("--s1"), hue("--s2")], drawn = [0, 0];
    let cut = 0;
    for (let at = 0; at < pixels.length; at += 4) {
        if ((at / 4) % canvas.width < 2 && pixels[at + 3]) cut += 1;
        hues.forEach((each, n) => { if (each.every((part, k) => part === pixels[at + k]) && pixels[at + 3] === 255) drawn[n] += 1; });
    }
    place.remove();
    return { cut, drawn };
}"""


async def test_a_chart_has_room_for_small_amounts_and_hides_no_bar_behind_another(operator: Seat) -> None:
    await operator.open("usage")
    told = await operator.page.evaluate(DRAWN, [[0.0, 0.002], [0.0, 0.002]])
    assert told["cut"] == 0, "words at the left edge"
    first, second = told["drawn"]
    assert 0.8 < first / second < 1.25, told


async def test_a_key_is_made_shown_once_and_revoked(operator: Seat) -> None:
    await operator.open("keys")
    await operator.page.get_by_role("button", name="Make a key").click()
    await operator.page.get_by_role("dialog").get_by_label("Name").fill(EVIL)
    await operator.page.get_by_role("dialog").get_by_role("button", name="Make a key").click()
    await expect(operator.page.get_by_role("dialog").get_by_text("sk-ir-")).to_be_visible()
    await operator.page.get_by_role("button", name="Close").click()
    row = operator.page.get_by_role("row").filter(has_text="onerror")
    await expect(row.get_by_text("live")).to_be_visible()
    await row.get_by_role("button", name="Revoke").click()
    await operator.page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    await expect(row.get_by_text("revoked")).to_be_visible()


async def test_a_question_is_answered_side_by_side_and_an_answer_can_do_nothing(operator: Seat) -> None:
    await operator.open("playground")
    await operator.page.get_by_label("Model").first.fill("swift")
    await operator.page.get_by_role("button", name="Compare with another").click()
    await operator.page.get_by_label("Model").nth(1).fill("swift-mini")  # `deep` is overloaded now and then
    await operator.page.get_by_label("Message").fill(f"What is this? {EVIL}")
    await operator.page.get_by_role("button", name="Send").click()
    await expect(operator.page.locator(".prose strong")).to_have_count(2)
    await expect(operator.page.get_by_text("An answer of swift-mini", exact=False)).to_be_visible()


async def test_a_model_is_tried_added_drained_and_removed(operator: Seat) -> None:
    await operator.open("models")
    await operator.page.get_by_role("button", name="Add a model").click()
    dialog = operator.page.get_by_role("dialog")
    await dialog.get_by_label("Model", exact=True).fill("added-here")
    await dialog.get_by_label("Targets").fill("lab/swift")
    await dialog.get_by_role("button", name="Create").click()
    row = operator.page.get_by_role("row").filter(has_text="added-here")
    await expect(row).to_be_visible()
    await row.get_by_role("button", name="Test").click()
    await expect(dialog.get_by_text("Answered by")).to_be_visible()
    await dialog.get_by_role("button", name="Close").click()
    await row.get_by_role("button", name="Drain").click()
    await expect(row.get_by_text("drained")).to_be_visible()
    await row.get_by_role("button", name="Undo drain").click()
    await row.get_by_role("button", name="Delete").click()
    await dialog.get_by_role("button", name="Delete").click()
    await expect(row).to_have_count(0)


async def test_a_persona_is_written_shown_changed_and_brought_back(operator: Seat) -> None:
    await write_a_persona(operator)


async def test_a_chain_is_written_drawn_started_and_answered(operator: Seat) -> None:
    await write_a_chain(operator)


async def test_a_collection_is_made_and_dropped(operator: Seat) -> None:
    await make_a_collection(operator)


async def test_the_keyboard_alone_reaches_a_page(operator: Seat) -> None:
    await operator.open("")
    await operator.page.keyboard.press("Tab")
    await expect(operator.page.get_by_text("Skip to the page")).to_be_focused()
    for _ in range(30):
        await operator.page.keyboard.press("Tab")
        if await operator.page.evaluate("document.activeElement.textContent") == "Models":
            break
    await operator.page.keyboard.press("Enter")
    await expect(operator.page.get_by_role("heading", name="Models")).to_be_visible()


async def test_the_first_paint_is_told_and_little_is_sent(
    stage: Stage, record_property: Callable[[str, object], None]
) -> None:
    """Bytes as they are sent; the time goes into the report only, for a busy machine's says nothing."""
    async with seat(stage.started, stage.url, setup=await setup_link(stage.store)) as found:
        await found.page.reload()
        await found.settled()
        sent = await found.page.evaluate(
            "performance.getEntriesByType('resource').filter((one) => !one.name.includes('/api/')).reduce((sum, one) => sum + one.encodedBodySize, 0)"
        )
        paint = await found.page.evaluate(
            "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
        )
        record_property("first paint, ms", paint)
        assert paint is not None
        assert 0 < sent < 120_000


async def test_a_request_is_explained_before_it_is_sent_and_a_switch_is_turned(operator: Seat) -> None:
    await operator.page.evaluate(
        "(lines) => fetch('/console/api/session').then((told) => told.json()).then(({token}) => fetch("
        "'/console/api/router/admin/routing/import', {method: 'POST', body: lines, headers: {'x-console-token': token}}))",
        lessons(),
    )
    await operator.open("routing")
    await expect(operator.page.get_by_text("outcomes · trained")).to_be_visible()
    await operator.page.get_by_role("button", name="Prove that the square root").click()
    await operator.page.get_by_role("button", name="Who would answer?").click()
    told = operator.page.get_by_role("region", name="The decision")
    await expect(told.get_by_text("learned", exact=True)).to_be_visible()
    await expect(told.get_by_role("row")).to_have_count(4)
    for table in await told.locator(".table").all():
        assert await table.evaluate("one => one.scrollWidth - one.clientWidth") <= 0, "a column is cut off"
    switch = operator.page.get_by_role("button", name="Turn off validation")
    await switch.click()
    await operator.page.get_by_role("button", name="As in the file validation").click()
    await expect(switch).to_be_visible()


async def test_a_session_is_shown_with_its_parts_and_usage_leads_to_its_requests(operator: Seat) -> None:
    await operator.open("requests?user=ada")
    await operator.page.get_by_role("main").get_by_role("row").nth(1).get_by_role("link").first.click()
    await operator.page.get_by_role("region", name="Who and what").get_by_role("link").first.click()
    await expect(operator.page.get_by_role("heading", level=1, name="Session")).to_be_visible()
    await expect(operator.page.get_by_role("region", name="Its parts").first).to_be_visible()
    await operator.open("usage?by=tag")
    budgets = operator.page.get_by_role("region", name="What is left of budgets")
    await expect(budgets.get_by_role("row").filter(has_text="linus").get_by_role("meter")).to_be_visible()
    await operator.page.get_by_role("region", name="By tag").get_by_role("link", name="research").click()
    await expect(operator.page.get_by_role("heading", level=1, name="Requests")).to_be_visible()
    assert "tag=research" in operator.page.url


async def test_an_alert_is_taken_on_and_kept_silent_and_a_channel_tried(operator: Seat) -> None:
    await operator.open("alerts")
    page, dialog = operator.page, operator.page.get_by_role("dialog")
    region = page.get_by_role("region", name="Now", exact=True)
    now = region.get_by_role("row").filter(has_text="the memory is used up")
    await expect(now).to_be_visible()
    await now.get_by_role("button", name="Take on").click()
    await dialog.get_by_label("Why, for the others").fill(EVIL)
    await dialog.get_by_role("button", name="Take on").click()
    await expect(now.get_by_text("taken on by")).to_be_visible()
    await expect(now.get_by_text(EVIL)).to_be_visible()
    await now.get_by_role("button", name="Silence").click()
    await dialog.get_by_role("button", name="Silence").click()
    await page.get_by_role("region", name="Silences").get_by_role("button", name="End").click()
    await expect(page.get_by_role("region", name="Silences")).to_have_count(0)
    await page.get_by_role("button", name="Send a test").click()
    await expect(page.get_by_text("took it.")).to_be_visible()
    await expect(page.get_by_text("The program ended with exit code 1.").first).to_be_visible()
    await expect(page.get_by_text("silence ended")).to_be_visible()
    operator.sound()


async def test_a_guard_is_tried_and_the_audit_tells_who_did_what(operator: Seat) -> None:
    await operator.open("tools")
    await operator.page.get_by_role("textbox", name="Text").fill("My key is sk-proj-" + "Ab3dEf6h" * 6)
    await operator.page.get_by_role("button", name="Try", exact=True).click()
    await expect(operator.page.locator("mark").first).to_be_visible()
    await operator.turn_to("Audit")
    await operator.page.get_by_role("button", name="Verify the chain").click()
    await expect(operator.page.get_by_text("Every record is where")).to_be_visible()
    await operator.page.get_by_role("main").get_by_role("row").nth(1).get_by_role("button").click()
    await expect(operator.page.get_by_role("dialog")).to_be_visible()


async def test_a_person_is_added_blocked_and_let_in_again(operator: Seat) -> None:
    await operator.open("keys")
    await operator.page.get_by_role("button", name="Add a person").click()
    dialog = operator.page.get_by_role("dialog")
    await dialog.get_by_label("Name").fill("ada")
    await dialog.get_by_label("Mail").fill("ada@example.org")
    await dialog.get_by_role("button", name="Create").click()
    row = operator.page.get_by_role("row").filter(has_text="ada@example.org")
    await expect(row.get_by_text("live")).to_be_visible()
    await row.get_by_role("button", name="Block ada", exact=True).click()
    await expect(row.get_by_text("blocked")).to_be_visible()
    await row.get_by_role("button", name="Unblock ada").click()
    await expect(row.get_by_text("live")).to_be_visible()
    await row.get_by_role("button", name="Edit ada").click()
    await dialog.get_by_label("Roles").fill("auditor, developer")
    await dialog.get_by_label("Title").fill("Countess")
    await dialog.get_by_role("button", name="Save").click()
    await expect(row.get_by_text("auditor, developer")).to_be_visible()
    await expect(row.get_by_text("Countess")).to_be_visible()
    operator.refusals = True
    await row.get_by_role("button", name="Edit ada").click()
    await dialog.get_by_label("Roles").fill("emperor")
    await dialog.get_by_role("button", name="Save").click()
    await expect(operator.page.get_by_text("emperor", exact=False).first).to_be_visible()
    await dialog.get_by_role("button", name="Cancel").click()
    await expect(row.get_by_text("auditor, developer")).to_be_visible()


async def test_the_system_tells_of_backups_and_its_settings_are_checked_and_changed(
    operator: Seat, stage: Stage
) -> None:
    await operator.open("system")
    backups = operator.page.get_by_role("region", name="Backups")
    await expect(backups.get_by_text("never")).to_have_count(2)
    nodes = operator.page.get_by_role("region", name="Chain nodes")
    await expect(nodes.get_by_role("columnheader", name="Last heard of")).to_be_visible()
    drilled(stage.node.loaded.settings.paths.data_dir, ok=False, reason="the record is not whole")
    await expect(backups.get_by_text("the record is not whole")).to_be_visible()
    operator.refusals = True
    await operator.page.get_by_role("button", name="Change settings").click()
    dialog = operator.page.get_by_role("dialog")
    await dialog.get_by_label("Settings (JSON)").fill('{"limits": {"no_such": 1}}')
    await dialog.get_by_role("button", name="Check").click()
    await expect(dialog.get_by_role("alert")).to_be_visible()
    await dialog.get_by_label("Settings (JSON)").fill('{"features": {"result_merging": false}}')
    await dialog.get_by_role("button", name="Check").click()
    await expect(dialog.get_by_text("What would change")).to_be_visible()
    await dialog.get_by_role("button", name="Save").click()
    await expect(operator.page.get_by_role("region", name="History of settings")).to_be_visible()
