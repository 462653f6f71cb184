"""One Router over a stand-in of every kind of provider, for all tests of a module."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from intellirouter.app.roles import select
from intellirouter.app.supervisor import running
from intellirouter.config.load import load
from tests.conftest import provider
from tests.servers.dialects.table import STAND_INS
from tests.servers.recorder import Recorder
from tests.servers.vendor import Vendor


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def vendors() -> AsyncIterator[dict[str, Vendor]]:
    """A stand-in of every kind."""
    async with contextlib.AsyncExitStack() as stack:
        yield {
            kind: await stack.enter_async_context(
                Vendor(stand_in.answer, by_path=dict(stand_in.paths)).running()
            )
            for kind, stand_in in STAND_INS.items()
        }


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def tap(
    vendors: dict[str, Vendor], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Recorder]:
    """A Router over all of them, each as the provider of that name, and a tap before it."""
    folder: Path = tmp_path_factory.mktemp("router")
    async with contextlib.AsyncExitStack() as stack:
        file = folder / "node.toml"
        tables = (provider(vendor, name=kind, kind=kind) for kind, vendor in vendors.items())
        models = (f'models = ["{stand_in.model}"]' for stand_in in STAND_INS.values())
        file.write_text("".join(t.replace('models = ["m"]', m) for t, m in zip(tables, models, strict=True)))
        loaded = load(file, {}, {("server", "port"): 0, ("paths", "data_dir"): folder / "data"})
        node = await stack.enter_async_context(running(loaded, select("Router")))
        yield await stack.enter_async_context(Recorder(node.listening[0].port).running())
