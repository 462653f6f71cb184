"""Messages reach real servers: SMTP, HTTP, what takes Slack's form, a program; one that hangs or refuses holds up nobody."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from typer.testing import CliRunner

from intellirouter.alerts.channels.apprise_child import reason
from intellirouter.cli.alerts import app
from tests.alerts.heard import Heard
from tests.alerts.test_causes import ADMIN, KEYS, QUICK, rule
from tests.conftest import StartNode
from tests.servers.ports import free_port

FULL = rule("memory", "warning = 0.0001\ncritical = 1.0")


class Letters:
    """An SMTP server's letters."""

    def __init__(self) -> None:
        self.came: list[Envelope] = []

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        self.came.append(envelope)
        return "250 OK"


@pytest.fixture
def letters() -> Iterator[tuple[Letters, int]]:
    found, port = Letters(), free_port()
    controller = Controller(found, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield found, port
    finally:
        controller.stop()


async def until(holds: Callable[[], bool]) -> None:
    """Look again and again at what no event tells of: a file, a thread."""
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


async def command(url: str, *arguments: str) -> tuple[int, str]:
    """Exit code, and what a terminal of 80 columns shows, of which no line is longer."""
    environment = {"INTELLIROUTER_URL": url, "INTELLIROUTER_API_KEY": "sk-admin", "COLUMNS": "80"}
    result = await asyncio.to_thread(CliRunner().invoke, app, list(arguments), env=environment)
    said = result.output + (str(result.exception) if result.exception is not None else "")
    if "--json" not in arguments:
        assert max(map(len, result.output.splitlines()), default=0) <= 80, result.output
    return result.exit_code, said


async def tried(http: aiohttp.ClientSession, url: str) -> dict[str, dict[str, Any]]:
    async with http.post(f"{url}/admin/alerts/test", headers=ADMIN, json={}) as reply:
        assert reply.status == 200, await reply.text()
        return {one["channel"]: one for one in (await reply.json())["data"]}


async def test_each_kind_of_channel_and_one_that_hangs(
    start_node: StartNode,
    heard: Heard,
    http: aiohttp.ClientSession,
    tmp_path: Path,
    letters: tuple[Letters, int],
) -> None:
    """While one hangs, and one refuses, the others are told of what goes on."""
    came, port = letters
    out = tmp_path / "told.jsonl"
    async with Heard().running() as stuck, Heard().running() as chat, Heard().running() as refusing:
        stuck.hang.set()
        refusing.status = 503
        toml = (
            QUICK + KEYS + FULL + heard.channel() + stuck.channel("stuck", "timeout_seconds = 0.5") + refusing.channel("refusing")
            + f'[[alerts.channels]]\nname = "chat"\nkind = "webhook"\nform = "slack"\nurl = "{chat.server.make_url("/slack")}"\n'
            + '[[alerts.channels]]\nname = "mail"\nkind = "apprise"\ntimeout_seconds = 60\n'
            + f'url = "mailto://127.0.0.1:{port}/?from=node@example.org&to=ops@example.org"\n'
            + f'[[alerts.channels]]\nname = "program"\nkind = "program"\nprogram = ["/bin/sh", "-c", "cat >> {out}"]\n'
        )  # fmt: skip
        node = await start_node(toml)
        url = node.listening[0].url
        line = await heard.until("memory", "warning")
        await chat.bodies_are(1)
        assert chat.bodies[0]["text"].startswith("[WARNING] the memory is used up")
        assert chat.bodies[0]["attachments"][0]["color"].startswith("#")
        await until(lambda: bool(came.came) and out.exists() and out.read_text().endswith("\n"))
        assert json.loads(out.read_text())["alerts"][0]["id"] == line["id"]
        letter = came.came[0]
        assert letter.rcpt_tos == ["ops@example.org"]
        assert isinstance(letter.content, bytes)
        assert b"the memory is used up" in letter.content
        outcomes = await tried(http, url)
        assert {name for name, one in outcomes.items() if one["sent"]} == {"hook", "chat", "mail", "program"}
        assert "0.5 s" in outcomes["stuck"]["error"]
        assert outcomes["refusing"]["error"] == "It answered 503."
        refusing.status = 200  # what it missed comes, and once
        await refusing.until("memory", "warning")
        async with http.get(f"{url}/admin/alerts", headers=ADMIN) as reply:
            text = await reply.text()
        channels = {one["name"]: one for one in json.loads(text)["channels"]}
        assert channels["stuck"]["waiting"] == 1
        assert "whsec_" not in text and "ops@example.org" not in text


async def test_what_is_taken_on_is_told_no_more_and_silences_come_and_go(
    start_node: StartNode, heard: Heard, http: aiohttp.ClientSession
) -> None:
    node = await start_node(QUICK + "repeat_seconds = 0.3\n" + KEYS + FULL + heard.channel())
    url = node.listening[0].url
    await heard.until("memory", "warning", "again", "again")
    row = heard.said[0]

    async def post(path: str, body: dict[str, Any], status: int) -> Any:
        async with http.post(f"{url}{path}", headers=ADMIN, json=body) as reply:
            assert reply.status == status, await reply.text()
            return await reply.json()

    code, printed = await command(url, "ack", row["id"][:6], "--note", "I look")
    assert (code, row["id"] in printed) == (0, True)
    for body, words in (
        ({}, "seconds"),
        ({"seconds": -1}, "more than 0"),
        ({"seconds": 1e12}, "90 days"),
        ({"seconds": 5, "rul": "x"}, "rul"),
    ):
        assert words in (await post("/admin/alerts/silences", body, 400))["error"]["message"]
    made = await post("/admin/alerts/silences", {"rule": "mem*", "seconds": 60, "note": "known"}, 201)
    async with http.get(f"{url}/admin/alerts", headers=ADMIN) as reply:
        listing = await reply.json()
    assert listing["data"][0]["silenced_until"] == made["until"]
    assert listing["data"][0]["acknowledged"]["by"] == "admin"
    async with http.delete(f"{url}/admin/alerts/silences/{made['id']}", headers=ADMIN) as reply:
        assert reply.status == 200
    assert "No alert" in (await post("/admin/alerts/nothing/acknowledge", {}, 404))["error"]["message"]
    async with http.get(f"{url}/admin/alerts/history?limit=3", headers=ADMIN) as reply:
        said = [one["what"] for one in (await reply.json())["data"]]
    assert said == ["silence ended", "silenced", "acknowledged"]
    code, printed = await command(url, "ls")
    assert "taken on by admin" in " ".join(printed.split())
    assert code == 0
    code, printed = await command(url, "ls", "--rules")
    assert "certificate_expiry" in printed
    code, printed = await command(url, "history", "--json")
    assert {one["what"] for one in json.loads(printed)} >= {"fired", "acknowledged", "silenced"}
    for arguments, words in (
        (("silence", "disk", "--for", "soon"), "30m, 2h, 7d"),
        (("test", "pager"), "no channel 'pager'"),
    ):
        code, printed = await command(url, *arguments)
        assert code
        assert words in printed
    async with http.get(f"{url}/admin/alerts", headers={"authorization": "Bearer sk-ann"}) as reply:
        assert reply.status == 403


def test_the_reason_of_apprise_holds_no_part_of_the_address() -> None:
    url = "slack://TokenAAAA/TokenBBBB/tokenCCCC/#general/on"  # two letters are no secret, and part of many words
    logged = "Failed: HTTPSConnectionPool(host='hooks.slack.com'): /services/TokenAAAA/TokenBBBB/tokenCCCC refused\n"
    said = reason(logged, url)
    assert said.startswith("slack: ")
    assert "HTTPSConnectionPool(host='hooks.slack.com')" in said
    assert not [token for token in ("TokenAAAA", "TokenBBBB", "tokenCCCC", "general") if token in said]
