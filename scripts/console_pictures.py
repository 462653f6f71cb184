"""Pictures of the console's pages, for the README: `scripts/screenshots`."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.progress import track

from intellirouter.roles.keys import STATE
from intellirouter.roles.router.console.sessions import setup_link
from scripts.console_node import console_node, lessons, traffic
from tests.console.conftest import browser, seat

PICTURES = {
    "overview": "",
    "requests": "requests",
    "playground": "playground",
    "chains": "chains/triage",
}
MAX_BYTES = 200_000
TRIAGE = {
    "chain": {
        "name": "triage",
        "version": 1,
        "description": "Sort a ticket; a person approves what is urgent.",
    },
    "input": {"ticket": {"type": "string"}},
    "steps": [
        {"id": "sort", "llm": {"model": "swift-mini", "prompt": "Is this urgent? {{ input.ticket }}"}},
        {
            "id": "act",
            "switch": [
                {
                    "when": "'urgent' in steps.sort.text",
                    "do": [{"id": "approve", "wait": {"signal": "approval", "timeout": "24h"}}],
                },
                {"do": [{"id": "reply", "llm": {"model": "swift", "prompt": "Answer: {{ input.ticket }}"}}]},
            ],
        },
    ],
}


async def take(folder: Path) -> None:
    """Write one PNG a page."""
    with TemporaryDirectory() as data:
        async with console_node(Path(data)) as (node, _), browser() as started:
            url = next(listening.url for listening in node.listening if listening.role == "Router")
            async with seat(started, url, setup=await setup_link(node.opened[STATE])) as looked:
                token = await looked.page.evaluate(
                    "fetch('/console/api/session').then((told) => told.json()).then((told) => told.token)"
                )
                await looked.page.evaluate(
                    "([token, body]) => fetch('/console/api/chains/v1/chains/triage', {method: 'PUT', body: JSON.stringify(body), "
                    "headers: {'content-type': 'application/json', 'x-console-token': token}})",
                    [token, {"definition": TRIAGE}],
                )
                await looked.page.evaluate(
                    "([token, lines]) => fetch('/console/api/router/admin/routing/import', {method: 'POST', body: lines, "
                    "headers: {'x-console-token': token}})",
                    [token, lessons()],
                )
                await traffic(url, 120)
                for name, page in track(PICTURES.items(), "Taking pictures"):
                    await looked.open(page)
                    if name == "playground":
                        await looked.page.get_by_label("Model").first.fill("swift")
                        await looked.page.get_by_role("button", name="Compare with another").click()
                        await looked.page.get_by_label("Model").nth(1).fill("deep")
                        await looked.page.get_by_label("Message").fill("What is a router?")
                        await looked.page.get_by_role("button", name="Send").click()
                        await looked.page.wait_for_selector(".prose strong")
                    await looked.page.wait_for_timeout(1500)  # charts draw themselves, rows arrive
                    file = folder / f"{name}.png"
                    await looked.page.screenshot(path=file)
                    if file.stat().st_size > MAX_BYTES:
                        raise SystemExit(
                            f"{file} has {file.stat().st_size} bytes; at most {MAX_BYTES} are for a picture."
                        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--to", type=Path, default=Path(__file__).parents[1] / "packaging/pictures")
    given = parser.parse_args()
    given.to.mkdir(parents=True, exist_ok=True)
    asyncio.run(take(given.to))
