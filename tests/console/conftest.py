"""Somebody before the console: a real browser, and what goes wrong in it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect
from playwright.async_api import TimeoutError as PlaywrightTimeout

CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
PATIENCE_MS = 60_000
expect.set_options(timeout=PATIENCE_MS)


@dataclass
class Seat:
    """A browser's window. `troubles` are errors of its pages, `elsewhere` requests that left the node."""

    url: str
    context: BrowserContext
    page: Page
    troubles: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)

    async def open(self, name: str) -> None:
        """Go to a page of the console and wait until it shows what it has."""
        for _ in range(3):
            await self.page.goto(f"{self.url}/console/{name}")
            with contextlib.suppress(
                PlaywrightTimeout
            ):  # a busy machine's browser: its user would load the page again
                await self.page.wait_for_selector("main h1", timeout=30_000)
                break
        await self.page.wait_for_selector("main h1")
        await expect(self.page.locator("main .skeleton")).to_have_count(0)


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
    page.on(
        "console",
        lambda line: found.troubles.append(line.text) if line.type in ("error", "warning") else None,
    )
    page.on(
        "request",
        lambda request: (
            found.elsewhere.append(request.url)
            if urlsplit(request.url).netloc not in (urlsplit(url).netloc, "")
            else None
        ),
    )
    await page.goto(f"{url}/console" + (f"#setup={setup}" if setup else ""))
    await page.wait_for_selector("main h1, main form")
    yield found
    await context.close()
