"""The shipped files in real proxies before real Routers: no spelling reaches the inner paths, and a drained Router is left alone."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import trustme

from intellirouter.app.node import Node
from tests.conftest import StartNode, StartVendor, provider
from tests.roles.router.test_chat import ANSWER, BODY
from tests.servers.haproxy import haproxy
from tests.servers.nginx import nginx
from tests.servers.ports import free_port
from tests.servers.vendor import Play

KEY = "the-operators-own-key-5521"
AUTH = (
    '[auth]\nenabled = true\n[[auth.keys]]\nname = "boss"\nscopes = ["admin", "inference"]\n'
    f'sha256 = "{hashlib.sha256(KEY.encode()).hexdigest()}"\n'
)


def encoded(word: str, every: int = 1) -> str:
    return "".join(f"%{ord(c):02x}" if n % every == 0 else c for n, c in enumerate(word))


def spellings(word: str) -> list[str]:
    """One path in every way that some server takes for it."""
    one = encoded(word[0])
    return [
        f"/{word}",
        f"/{one}{word[1:]}",
        f"/{encoded(word)}",
        f"/{encoded(word).upper().replace('%', '%')}",
        f"/{encoded(word, 2)}",
        f"//{word}",
        f"///{word}",
        f"/%2f{word}",
        f"/%2F{one}{word[1:]}",
        f"/./{word}",
        f"/%2e/{word}",
        f"/v1/../{word}",
        f"/v1/%2e%2e/{word}",
        f"/v1/%2E./{word}",
        f"/v1/..%2f{word}",
        f"/v1//../../{word}",
        f"/x/y/../../{word}",
        f"/{word.upper()}",
        f"/{word.capitalize()}",
        f"/{word}/",
        f"/{word}%2f",
        f"/{word}?x=1",
        f"/{word};x",
        f"/%25{one[1:]}{word[1:]}",
        f"\\{word}",
        f"/%5c{word}",
        f"/{word}%20",
        f"/{word}%00",
        f"http://127.0.0.1/{word}",
        f"http://x/{one}{word[1:]}",
    ]


PATHS = [path for word in ("admin/keys", "metrics", "console") for path in spellings(word)]


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    file = tmp_path / "proxy.pem"
    trustme.CA().issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(file))
    return file


@contextlib.asynccontextmanager
async def proxy(
    kind: str, tmp_path: Path, certificate: Path, ports: list[int]
) -> AsyncIterator[tuple[int, Any]]:
    port = free_port()
    make = haproxy if kind == "haproxy" else nginx
    async with make(tmp_path, port, certificate, ports) as running:
        if running is not None:
            await running.until("router1", "UP")
            await running.until("router2", "UP")
        yield port, running


async def raw(port: int, target: str) -> tuple[int, bytes]:
    """Status and body of one request with the target as it is written."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    async with asyncio.timeout(60):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        head = f"GET {target} HTTP/1.1\r\nhost: api.example.com\r\nauthorization: Bearer {KEY}\r\nconnection: close\r\n\r\n"
        writer.write(head.encode("latin-1"))
        answer = await reader.read()
        writer.close()
    line, _, rest = answer.partition(b"\r\n")
    return int(line.split()[1]) if line else 0, rest


@pytest.mark.parametrize("kind", ["haproxy", "nginx"])
async def test_no_spelling_reaches_what_is_for_the_inner_network(
    kind: str, tmp_path: Path, certificate: Path, start_node: StartNode, start_vendor: StartVendor
) -> None:
    vendor = await start_vendor(Play.json(ANSWER))
    node = await start_node(provider(vendor) + AUTH)
    port = node.listening[0].port
    async with proxy(kind, tmp_path, certificate, [port, port]) as (at, _):
        for path in ("/v1/models", "/v1/models/primary%2Fm"):
            async with asyncio.timeout(
                60
            ):  # a proxy may take a slow machine's Router for gone, and finds it again
                while True:
                    if (await raw(at, path))[0] == 200:
                        break
        for path in PATHS:
            status, body = await raw(at, path)
            assert status in (0, 400, 403, 404, 503), (path, status)
            assert b"# TYPE" not in body, path
            assert b'"keys"' not in body, path
            assert b"<html" not in body or b"console" not in body.lower(), path


async def ask(http: aiohttp.ClientSession, port: int) -> int:
    body = {**BODY, "model": "primary/m"}
    headers = {"authorization": f"Bearer {KEY}"}
    async with http.post(
        f"https://127.0.0.1:{port}/v1/chat/completions", json=body, headers=headers, ssl=False
    ) as reply:
        await reply.read()
        return reply.status


@pytest.mark.parametrize("kind", ["haproxy", "nginx"])
async def test_a_drained_router_gets_nothing_and_nothing_is_lost(
    kind: str,
    tmp_path: Path,
    certificate: Path,
    start_node: StartNode,
    start_vendor: StartVendor,
    http: aiohttp.ClientSession,
) -> None:
    vendors = [await start_vendor(Play.json(ANSWER)) for _ in range(2)]
    nodes: list[Node] = [await start_node(provider(vendor) + AUTH) for vendor in vendors]
    ports = [node.listening[0].port for node in nodes]
    async with proxy(kind, tmp_path, certificate, ports) as (at, running):

        async def many(count: int = 80) -> list[int]:
            """What each Router got."""
            before = [len(vendor.received) for vendor in vendors]
            found = []
            for _ in range(count // 8):
                found += await asyncio.gather(*(ask(http, at) for _ in range(8)))
            assert set(found) == {200}
            return [len(vendor.received) - was for vendor, was in zip(vendors, before, strict=True)]

        assert min(await many()) > 0
        nodes[0].drain(True)
        if running is not None:
            await running.until("router1", "DOWN")
        got = await many()
        assert sum(got) == 80
        # nginx asks in turn, nine times at most: by chance it may come to the drained one each time
        assert got[0] <= (1 if kind == "nginx" else 0)
        nodes[1].drain(True)  # the last ones serve all the same, where nobody knows better
        if kind == "nginx":
            assert sum(await many(16)) == 16
        nodes[0].drain(False)
        if running is not None:
            await running.until("router1", "UP")
        nodes[1].drain(False)
        if running is not None:
            await running.until("router2", "UP")
        assert min(await many()) > 0
