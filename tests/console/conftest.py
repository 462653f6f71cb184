"""Somebody before the console: a real browser, and what goes wrong in it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

from playwright.async_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    Response,
    async_playwright,
    expect,
)

CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
PATIENCE_MS = 60_000
expect.set_options(timeout=PATIENCE_MS)


BROKEN = "This page could not be shown."


@dataclass
class Seat:
    """A browser's window. `troubles` are errors of its pages, `elsewhere` requests that left the node, `pending` what was not answered yet.

    `refusals`: the node is made to refuse, so that the browser's own line about each refused request is no trouble.
    """

    url: str
    context: BrowserContext
    page: Page
    troubles: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)
    pending: dict[int, str] = field(default_factory=dict)
    refusals: bool = False

    async def open(self, name: str) -> None:
        """Go to a page of the console and wait until it shows what it has. A broken one fails, with what is known of why."""
        await self.page.goto(f"{self.url}/console/{name}")
        await self.settled()

    async def settled(self) -> None:
        """Wait until the page shows what it has, and see that it is no broken one."""
        try:
            await expect(self.page.locator("main h1").first).to_be_visible()
            await expect(self.page.locator("main .skeleton")).to_have_count(0)
        except AssertionError as error:
            shown = await self.page.locator("body").inner_text()
            raise AssertionError(
                f"{self.page.url} did not draw itself.\nIt shows: {shown[:600]}\nNot answered: {list(self.pending.values())}\n"
                f"Errors: {self.troubles}"
            ) from error
        self.sound()
        assert not await self.page.get_by_text(BROKEN).count(), await self.page.locator("main").inner_text()

    async def turn_to(self, page: str) -> None:
        """Go to a page by the menu, without a reload."""
        await self.page.get_by_role("navigation").get_by_role("link", name=page, exact=True).click()
        await expect(self.page.get_by_role("heading", level=1, name=page, exact=True)).to_be_visible()
        await self.settled()

    def sound(self) -> None:
        """Nothing went wrong in the browser, and nothing left the node."""
        assert not self.troubles
        assert not self.elsewhere

    def asked(self, request: Request) -> None:
        """A request of the page."""
        self.pending[id(request)] = request.url
        if urlsplit(request.url).netloc not in (urlsplit(self.url).netloc, ""):
            self.elsewhere.append(request.url)

    def answered(self, response: Response) -> None:
        """An answer to the page: a page that asks for what it may not have is a wrong one."""
        if response.status >= 400 and not self.refusals:
            self.troubles.append(f"{response.status} {response.request.method} {response.url}")

    def heard(self, line: ConsoleMessage) -> None:
        """A line of the browser's console."""
        if line.type not in ("error", "warning"):
            return
        if not (self.refusals and line.text.startswith("Failed to load resource")):
            self.troubles.append(line.text)


@contextlib.asynccontextmanager
async def browser() -> AsyncIterator[Browser]:
    """Debian's Chromium, headless."""
    async with async_playwright() as playwright:
        started = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield started
        await started.close()


@contextlib.asynccontextmanager
async def seat(
    started: Browser,
    url: str,
    *,
    setup: str | None = None,
    width: int = 1280,
    scheme: Literal["light", "dark"] = "light",
) -> AsyncIterator[Seat]:
    """A window of its own, signed in by a setup link where one is given."""
    context = await started.new_context(viewport={"width": width, "height": 860}, color_scheme=scheme)
    context.set_default_timeout(PATIENCE_MS)
    page = await context.new_page()
    found = Seat(url, context, page)
    page.on("pageerror", lambda error: found.troubles.append(str(error)))
    page.on("console", found.heard)
    page.on("request", found.asked)
    page.on("response", found.answered)
    page.on("requestfinished", lambda request: found.pending.pop(id(request), None))
    page.on("requestfailed", lambda request: found.pending.pop(id(request), None))
    if setup:
        await page.goto(f"{url}/console#setup={setup}")
        await found.settled()
    yield found
    await context.close()
