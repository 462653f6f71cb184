"""Every Python client through guards to every kind of provider: the vendor never sees what the caller gets back."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from intellirouter.app.roles import select
from intellirouter.app.supervisor import running
from intellirouter.config.load import load
from tests.clients.guarded import campaign, node
from tests.clients.test_python_clients import CLIENTS
from tests.conftest import provider
from tests.servers.dialects.table import STAND_INS
from tests.servers.vendor import Vendor

pytestmark = pytest.mark.asyncio(loop_scope="module")
EMAIL, CARD = "jane.roe@example.org", "4111 1111 1111 1111"
GUARD = '[[guards]]\nname = "pii"\nkind = "pii"\naction = "mask-restore"\n'


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def router(vendors: dict[str, Vendor], tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    folder: Path = tmp_path_factory.mktemp("guarded")
    file = folder / "node.toml"
    tables = (provider(vendor, name=kind, kind=kind) for kind, vendor in vendors.items())
    models = (f'models = ["{stand_in.model}"]' for stand_in in STAND_INS.values())
    file.write_text(
        GUARD + "".join(t.replace('models = ["m"]', m) for t, m in zip(tables, models, strict=True))
    )
    loaded = load(file, {}, {("server", "port"): 0, ("paths", "data_dir"): folder / "data"})
    async with contextlib.AsyncExitStack() as stack:
        node = await stack.enter_async_context(running(loaded, select("Router")))
        yield node.listening[0].url


@pytest.mark.parametrize("by", CLIENTS)
async def test_a_caller_gets_back_what_no_vendor_sees(
    by: str, router: str, vendors: dict[str, Vendor]
) -> None:
    module, conversation = CLIENTS[by]
    sdk = module.connect(router)
    for kind, stand_in in STAND_INS.items():
        for stream in (False, True):
            vendors[kind].received.clear()
            client = conversation(sdk, f"{kind}/{stand_in.model}")
            seen = await client.ask(f"Write to {EMAIL}, card {CARD}.", stream=stream)
            assert seen.text.endswith(f"Write to {EMAIL}, card {CARD}."), (kind, stream, seen.text)
            seen = await client.ask(
                f"And to {EMAIL} again?", stream=stream
            )  # what was said before goes along
            assert f"And to {EMAIL} again?" in seen.text
            bodies = b"".join(one.body for one in vendors[kind].received)
            assert b"EMAIL_1" in bodies and b"CARD_1" in bodies
            assert b"jane.roe" not in bodies and b"1111" not in bodies, (kind, stream)
    await module.disconnect(sdk)


async def test_generated_conversations_keep_to_themselves_what_was_planted(tmp_path: Path) -> None:
    """Of those that `python -m tests.clients.guarded` runs, two of each client with each provider."""
    async with node(tmp_path) as (url, others):
        assert await campaign(url, others, range(72)) == 144
