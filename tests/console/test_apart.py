"""The console of a Router whose other roles run on nodes of their own. A file by itself: a process has one durable runtime at a time."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from intellirouter.roles.keys import STATE
from intellirouter.roles.router.console.sessions import setup_link
from scripts.console_node import console_node
from tests.console.conftest import browser, seat
from tests.console.flows import make_a_collection, write_a_chain, write_a_persona
from tests.servers.minilm import minilm


@pytest.mark.timeout(600)
async def test_roles_on_other_nodes_do_what_their_pages_say(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("apart")
    async with console_node(folder, model=minilm(), apart=True) as (node, _), browser() as started:
        url = node.listening[0].url
        async with seat(started, url, setup=await setup_link(node.opened[STATE])) as found:
            await expect(found.page.get_by_text("on another node")).to_have_count(3)
            await write_a_persona(found)
            await write_a_chain(found)
            await make_a_collection(found)
            await found.open("system")
            for role in ("Router", "ChainEngine", "RagManager", "PersonaLayer"):
                await expect(found.page.get_by_role("main").get_by_text(role, exact=True)).to_be_visible()
