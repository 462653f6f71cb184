"""Every transport, and raw servers for it to meet."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import trustme
import uvloop

from intellirouter.transport.aiohttp_client import AiohttpTransport
from intellirouter.transport.contract import Transport
from intellirouter.transport.fast.client import FastTransport
from tests.servers.raw_http import RawServer, Script

Serve = Callable[..., Awaitable[RawServer]]
KINDS = {"fast": FastTransport, "aiohttp": AiohttpTransport}


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The loop that nodes run on."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def ca_file(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tls") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return path


@pytest.fixture(params=KINDS)
async def transport(request: pytest.FixtureRequest, ca_file: Path) -> AsyncIterator[Transport]:
    opened: Transport = KINDS[request.param](ca_file=ca_file)
    yield opened
    await opened.aclose()


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """`server = await serve(script)`."""
    async with contextlib.AsyncExitStack() as stack:

        async def start(script: Script, **options: object) -> RawServer:
            return await stack.enter_async_context(RawServer(script, **options).running())  # type: ignore[arg-type]

        yield start


def expect_difference(request: pytest.FixtureRequest, reason: str) -> None:
    """The test fails with aiohttp's client, which does not tell what would be needed."""
    if request.node.callspec.params["transport"] == "aiohttp":
        request.applymarker(pytest.mark.xfail(reason=reason, strict=True))
