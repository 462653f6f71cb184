"""Fixtures every test may use."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import aiohttp
import pytest
from hypothesis import HealthCheck, settings

from intellirouter.app.roles import select
from intellirouter.app.supervisor import Node, running
from intellirouter.config.load import load
from tests.servers.vendor import Answer, Vendor

settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")  # no property depends on how fast the machine is

StartVendor = Callable[..., Awaitable[Vendor]]
StartNode = Callable[..., Awaitable[Node]]


@pytest.fixture
async def start_vendor() -> AsyncIterator[StartVendor]:
    """Start stand-in vendors on free ports: `vendor = await start_vendor(Play(…))`."""
    async with contextlib.AsyncExitStack() as stack:

        async def start(*answers: Answer, by_path: dict[str, Answer] | None = None) -> Vendor:
            return await stack.enter_async_context(Vendor(*answers, by_path=by_path).running())

        yield start


@pytest.fixture
async def start_node(tmp_path: Path) -> AsyncIterator[StartNode]:
    """Start roles in this process on free ports, from TOML text: `node = await start_node(toml)`."""
    async with contextlib.AsyncExitStack() as stack:
        count = 0

        async def start(
            toml: str = "",
            role: str = "Router",
            environment: dict[str, str] | None = None,
            data_dir: Path | None = None,
        ) -> Node:
            nonlocal count
            count += 1
            file = tmp_path / f"node-{count}.toml"
            file.write_text(toml)
            flags = {("server", "port"): 0, ("paths", "data_dir"): data_dir or tmp_path / f"data-{count}"}
            loaded = load(file, environment or {}, flags)
            return await stack.enter_async_context(running(loaded, select(role)))

        yield start


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """A plain HTTP client with a deadline."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as session:
        yield session


def provider(
    vendor: Vendor, *, name: str = "primary", kind: str = "openai_compatible", more: str = ""
) -> str:
    """The TOML of a provider that is `vendor`, with one model `m`."""
    return (
        f'[[model_registry.providers]]\nname = "{name}"\nkind = "{kind}"\nendpoint = "{vendor.url}/v1"\n'
        f'api_key = "sk-secret-of-{name}"\nmodels = ["m"]\n{more}\n'
    )
