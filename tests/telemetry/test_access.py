"""The access log tells the same of a request whether or not it is recorded."""

from __future__ import annotations

import asyncio
import hashlib
import signal
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.conftest import StartVendor, provider
from tests.roles.router.test_chat import ANSWER
from tests.servers.process import node_process
from tests.servers.vendor import Play

MEASURED = {"timestamp", "ms", "request_id", "client"}
"""What is another in each run, or tells nothing of the request."""
SECRET = "sk-of-the-app-0123456789abcdef"
KEYS = f'[auth]\nenabled = true\n[[auth.keys]]\nname = "app"\nsha256 = "{hashlib.sha256(SECRET.encode()).hexdigest()}"\n'
PRICED = (
    '[[model_registry.models]]\nname = "dear"\ntargets = ["primary/m"]\nprice = { input = 3, output = 15 }\n'
)
HELLO = [{"role": "user", "content": "Hello"}]
CHAT, OPEN = "/v1/chat/completions", {"authorization": f"Bearer {SECRET}"}
REQUESTS: list[tuple[str, str, dict[str, Any] | None, dict[str, str]]] = [
    ("POST", CHAT, {"model": "primary/m", "messages": HELLO}, OPEN),
    ("POST", CHAT, {"model": "dear", "messages": HELLO, "user": "ann"}, OPEN),
    ("POST", CHAT, {"model": "dear", "messages": HELLO}, {**OPEN, "x-session-id": "s", "x-intellirouter-explain": "1"}),
    ("POST", CHAT, {"model": "primary/m", "messages": HELLO, "stream": True}, OPEN),
    ("POST", CHAT, {"model": "nobody", "messages": HELLO}, OPEN),
    ("POST", CHAT, {"model": "primary/m", "messages": HELLO}, {}),
    ("POST", "/v1/messages", {"model": "primary/m", "messages": HELLO, "max_tokens": 5}, OPEN),
    ("GET", "/v1/models", None, OPEN),
    ("GET", "/nowhere", None, OPEN),
]  # fmt: skip


def _file(directory: Path, name: str, toml: str) -> Path:
    file = directory / f"{name}.toml"
    file.write_text(f'{toml}[server]\nport = 0\n[paths]\ndata_dir = "{directory / name}"\n')
    return file


async def _lines(file: Path, http: aiohttp.ClientSession) -> list[dict[str, Any]]:
    async with node_process("--role", "Router", "--config", str(file)) as node:
        url = await node.url()
        for method, path, body, headers in REQUESTS:
            async with http.request(method, url + path, json=body, headers=headers) as reply:
                await reply.read()
        await node.event("request", count=len(REQUESTS))
        node.signal(signal.SIGTERM)
        await node.wait()
        return [
            {name: value for name, value in line.items() if name not in MEASURED}
            for line in node.lines
            if line["event"] == "request"
        ]


@pytest.mark.parametrize("content", ["off", "all"])
async def test_a_line_is_the_same_whether_or_not_the_request_is_recorded(
    start_vendor: StartVendor, http: aiohttp.ClientSession, tmp_path: Path, content: str
) -> None:
    vendor = await start_vendor(Play.json(ANSWER))
    toml = KEYS + provider(vendor) + PRICED
    recorded, silent = await asyncio.gather(
        _lines(_file(tmp_path, "on", f'{toml}[records]\ncontent = "{content}"\n'), http),
        _lines(_file(tmp_path, "off", f"{toml}[records]\nenabled = false\n"), http),
    )
    assert recorded == silent
    whole = {"role", "endpoint", "method", "status", "key", "provider", "model", "attempts", "input_tokens", "output_tokens", "cost_usd"}  # fmt: skip
    assert whole <= set(recorded[1])
    assert [line["status"] for line in recorded] == [200, 200, 200, 200, 404, 401, 200, 200, 404]
