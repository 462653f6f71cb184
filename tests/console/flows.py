"""What somebody does on a page, wherever its role runs."""

from __future__ import annotations

import json

from playwright.async_api import expect

from scripts.console_node import BOSS
from tests.console.conftest import Seat

EVIL = '<img src=x onerror="window.evil=1"><script>window.evil=1</script>'
PAGES = {
    "": "Overview", "requests": "Requests", "usage": "Usage", "routing": "Routing", "playground": "Playground", "personas": "Personas",
    "documents": "Documents", "chains": "Chains", "models": "Models", "keys": "Keys and people", "tools": "Tools and guards", "system": "System",
    "alerts": "Alerts", "audit": "Audit", "api": "API",
}  # fmt: skip


async def write_a_persona(operator: Seat) -> None:
    """Write one, see it rendered, change it, and bring its first version back."""
    await operator.open("personas")
    await operator.page.get_by_role("button", name="New persona").click()
    dialog = operator.page.get_by_role("dialog")
    await dialog.get_by_label("Personas").fill("tester")
    await dialog.get_by_role("textbox", name="Source").fill(
        f'name = "tester"\nprompt = {json.dumps("Be kind. " + EVIL)}\n'
    )
    await dialog.get_by_role("button", name="Save").click()
    await expect(operator.page.get_by_role("heading", name="tester")).to_be_visible()
    await operator.page.get_by_role("button", name="Render").click()
    await expect(operator.page.locator(".said").get_by_text("Be kind.", exact=False)).to_be_visible()
    await operator.page.get_by_role("button", name="Edit").click()
    await dialog.get_by_role("textbox", name="Source").fill('name = "tester"\nprompt = "Be brief."\n')
    await dialog.get_by_role("button", name="Save").click()
    await expect(operator.page.get_by_role("heading", name="version 2", exact=False)).to_be_visible()
    await operator.page.get_by_role("button", name="Bring back").click()
    await expect(operator.page.get_by_role("heading", name="version 3", exact=False)).to_be_visible()


async def write_a_chain(operator: Seat) -> None:
    """Write one, see it drawn, start it, and answer what it waits for."""
    await operator.open("chains")
    await operator.page.get_by_role("button", name="Create").click()
    dialog = operator.page.get_by_role("dialog")
    await dialog.get_by_label("Name").fill("approval")
    await dialog.get_by_label("Definition").fill(
        "chain: {name: approval, version: 1}\nsteps:\n  - id: answer\n    llm: {model: swift, prompt: Hello}\n"
        "  - id: ask\n    wait:\n      signal: go\n      message: Is this right?\n"
        "      form: {type: object, properties: {ok: {type: boolean}, why: {type: string}}, required: [ok]}\n"
        "output: {text: steps.answer.text, ok: steps.ask.ok}\n"
    )
    await dialog.get_by_role("button", name="Check").click()
    await expect(dialog.get_by_text("It holds.")).to_be_visible()
    await dialog.get_by_role("button", name="Save").click()
    await expect(operator.page.locator(".step").filter(has_text="answer")).to_be_visible()
    await operator.page.get_by_role("button", name="Start").click()
    await dialog.get_by_role("button", name="Start").click()
    await expect(operator.page.get_by_role("heading", name="Waiting for you", exact=False)).to_be_visible()
    await expect(operator.page.get_by_text("Is this right?")).to_be_visible()
    await expect(operator.page.get_by_label("Answer (JSON)")).to_have_value(
        '{\n  "ok": false,\n  "why": ""\n}'
    )
    await operator.page.get_by_role("button", name="Answer").click()
    await expect(operator.page.locator(".badge").filter(has_text="succeeded")).to_be_visible()
    await expect(operator.page.get_by_role("heading", name="Output").first).to_be_visible()


async def make_a_collection(operator: Seat) -> None:
    """Make one, upload a document, find a passage, and delete it all."""
    await operator.open("documents")
    await operator.page.get_by_role("button", name="New collection").click()
    await operator.page.get_by_role("dialog").get_by_label("Collection").fill("handbook")
    await operator.page.get_by_role("dialog").get_by_role("button", name="Create").click()
    await expect(operator.page.get_by_role("heading", name="handbook")).to_be_visible()
    await operator.page.locator("input[type=file]").set_input_files(
        {
            "name": "<b>evil.md",
            "mimeType": "text/markdown",
            "buffer": b"# Warranty\n\nThe warranty is two years.",
        }
    )
    await expect(operator.page.get_by_role("button", name="<b>evil.md")).to_be_visible()
    await expect(
        operator.page.get_by_role("row").filter(has_text="evil.md").get_by_text("ready").last
    ).to_be_visible()
    await operator.page.get_by_placeholder("Question").fill("How long is the warranty?")
    await operator.page.get_by_role("button", name="Search").click()
    await expect(operator.page.get_by_text("two years", exact=False).first).to_be_visible()
    await operator.page.get_by_role("button", name="Delete").first.click()
    await operator.page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    await expect(operator.page.get_by_text("No collection yet")).to_be_visible()


async def sign_in(found: Seat, page: str = "", key: str = BOSS) -> None:
    """As the administrator, or with another key, at a page's own address."""
    await found.page.goto(f"{found.url}/console/{page}")
    await found.page.get_by_label("API key").fill(key)
    await found.page.get_by_role("button", name="Sign in").click()
    await expect(found.page.get_by_role("navigation")).to_be_visible()
