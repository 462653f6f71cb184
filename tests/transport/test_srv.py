"""Endpoints that DNS names, looked up at a real DNS server whose record changes."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from intellirouter.errors import UpstreamUnavailable, UpstreamUnreachable
from intellirouter.providers.adapter import HttpRequest
from intellirouter.transport.contract import Deadlines
from intellirouter.transport.fast.client import FastTransport
from intellirouter.transport.srv import LOOKUP_SECONDS, Server, SrvResolver, SrvTransport, in_turn
from tests.conftest import StartNode, StartVendor, provider
from tests.roles.router.test_chat import ANSWER
from tests.servers.dnsmasq import TTL, dnsmasq, records
from tests.servers.ports import free_port
from tests.servers.vendor import Play, Vendor

NAME = "_rag._tcp.nodes.test"


class Clock:
    """Time that passes when told to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def inner() -> AsyncIterator[FastTransport]:
    transport = FastTransport()
    yield transport
    await transport.aclose()


async def ask(transport: SrvTransport) -> bytes:
    reply = await transport.send(
        HttpRequest("POST", f"http://{NAME}/where", (), b"{}"), Deadlines(connect=2, total=5)
    )
    try:
        return await reply.read(1000)
    finally:
        reply.close()


def port(vendor: Vendor) -> int:
    return int(vendor.url.rpartition(":")[2])


async def test_a_record_that_changes_is_followed_when_its_time_is_over(
    start_vendor: StartVendor, inner: FastTransport
) -> None:
    one, two = [await start_vendor(Play([name])) for name in (b"one", b"two")]
    clock = Clock()
    with dnsmasq(*records(NAME, (port(one), 0, 1))) as server:
        transport = SrvTransport(inner, SrvResolver(server.address, clock))
        assert await ask(transport) == b"one"
        server.serve(*records(NAME, (port(two), 0, 1)))
        assert await ask(transport) == b"one"  # still within its time to live
        clock.now += TTL + 0.1
        assert await ask(transport) == b"two"
        server.stop()
        clock.now += TTL + 0.1
        assert await ask(transport) == b"two"  # what is known serves while nobody answers


async def test_priorities_are_kept_and_weights_drawn(start_vendor: StartVendor, inner: FastTransport) -> None:
    often, seldom, spare = [await start_vendor(Play([name])) for name in (b"often", b"seldom", b"spare")]
    with dnsmasq(
        *records(NAME, (port(often), 1, 80), (port(seldom), 1, 20), (port(spare), 2, 100))
    ) as server:
        transport = SrvTransport(inner, SrvResolver(server.address), random.Random(4))
        said = Counter([await ask(transport) for _ in range(200)])
        assert said[b"spare"] == 0
        assert 140 <= said[b"often"] <= 180
    with dnsmasq(*records(NAME, (free_port(), 1, 80), (port(spare), 2, 100))) as server:
        transport = SrvTransport(inner, SrvResolver(server.address))
        assert {await ask(transport) for _ in range(3)} == {b"spare"}  # the first cannot be reached


async def test_what_may_have_arrived_is_not_sent_again(
    start_vendor: StartVendor, inner: FastTransport
) -> None:
    broken, other = await start_vendor(Play(before="reset")), await start_vendor(Play([b"other"]))
    with dnsmasq(*records(NAME, (port(broken), 1, 1), (port(other), 2, 1))) as server:
        transport = SrvTransport(inner, SrvResolver(server.address))
        with pytest.raises(UpstreamUnavailable):
            await ask(transport)
        assert (len(broken.received), len(other.received)) == (1, 0)


async def test_names_that_lead_nowhere_are_said_to(inner: FastTransport) -> None:
    with dnsmasq(*records("_other._tcp.nodes.test", (1, 1, 1))) as server:
        transport = SrvTransport(inner, SrvResolver(server.address))
        with pytest.raises(UpstreamUnreachable, match=f"no SRV record of {NAME}"):
            await ask(transport)
    silent = SrvTransport(inner, SrvResolver(f"127.0.0.1:{free_port()}"))
    async with asyncio.timeout(LOOKUP_SECONDS + 5):
        with pytest.raises(UpstreamUnreachable, match="no SRV record"):
            await ask(silent)


async def test_a_role_is_found_by_its_record(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    vendor = provider(await start_vendor(Play.json(ANSWER)))
    layer = await start_node(role="PersonaLayer")
    name = "_personas._tcp.nodes.test"
    with dnsmasq(*records(name, (layer.listening[0].port, 0, 0))) as server:
        router = await start_node(
            f'[ipc]\ndiscovery = "dns"\ndns_server = "{server.address}"\npersona_layer_endpoint = "http://{name}"\n{vendor}'
        )
        body = {"model": "primary/m", "persona": "analyst", "messages": [{"role": "user", "content": "Hi"}]}
        async with http.post(f"{router.listening[0].url}/v1/chat/completions", json=body) as reply:
            assert reply.status == 200, await reply.text()
            assert reply.headers["x-intellirouter-persona"].startswith("analyst")


servers = st.builds(
    Server, st.integers(0, 3), st.integers(0, 100), st.sampled_from("abcdef"), st.integers(1, 65_535)
)


@given(listed=st.lists(servers, max_size=8, unique=True), seed=st.integers())
def test_every_server_has_its_turn_and_priorities_rise(listed: list[Server], seed: int) -> None:
    order = in_turn(listed, random.Random(seed))
    assert sorted(order, key=repr) == sorted(listed, key=repr)
    assert [server.priority for server in order] == sorted(server.priority for server in order)


@pytest.mark.parametrize(("weights", "share"), [((0, 10), 0.91), ((1, 3), 0.6), ((0, 0), 0.0)])
def test_weights_are_drawn_as_the_standard_says(weights: tuple[int, int], share: float) -> None:
    chance = random.Random(1)
    listed = [Server(0, weight, str(place), 1) for place, weight in enumerate(weights)]
    first = Counter(in_turn(listed, chance)[0].host for _ in range(4000))
    assert first["1"] / 4000 == pytest.approx(share, abs=0.04)
