"""Whose address a request is of behind proxies, and how often an address may ask before anybody looks who it is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp.test_utils import make_mocked_request
from hypothesis import given
from hypothesis import strategies as st

from intellirouter.app.serving import _door
from intellirouter.config.load import load
from intellirouter.web import addresses
from intellirouter.web.addresses import Addresses
from intellirouter.web.probes import Health
from tests.servers.installation import ADMIN, Installation, configured_key, installed


class Seen:
    """What stands behind: remembers whose each request is."""

    def __init__(self) -> None:
        self.whose: list[str | None] = []

    async def __call__(self, request: object) -> object:
        self.whose.append(request.remote)  # type: ignore[attr-defined]
        return None


async def asked(door: Addresses, peer: str, path: str = "/v1/models", forwarded: tuple[str, ...] = ()) -> int:
    """The status; 200 where the request went on."""
    request = make_mocked_request("GET", path, headers=[("x-forwarded-for", one) for one in forwarded])
    request._transport_peername = (peer, 1)
    answer = await door(request)
    return 200 if answer is None else answer.status


@pytest.mark.parametrize(
    ("peer", "forwarded", "whose"),
    [
        ("10.0.0.9", ("203.0.113.7",), "203.0.113.7"),
        ("10.0.0.9", ("198.51.100.1, 203.0.113.7, 10.0.0.8",), "203.0.113.7"),
        ("10.0.0.9", ("198.51.100.1", "203.0.113.7"), "203.0.113.7"),
        ("203.0.113.7", ("198.51.100.1",), "203.0.113.7"),
        ("10.0.0.9", (), "10.0.0.9"),
        ("10.0.0.9", ("10.0.0.7, 10.0.0.8",), "10.0.0.7"),
        ("10.0.0.9", ("203.0.113.7:4711",), "203.0.113.7"),
        ("10.0.0.9", ("[2001:db8::1]:4711",), "2001:db8::1"),
        ("10.0.0.9", ("::ffff:203.0.113.7",), "203.0.113.7"),
        ("::ffff:10.0.0.9", ("203.0.113.7",), "203.0.113.7"),
        ("10.0.0.9", ("203.0.113.7, unknown",), "10.0.0.9"),
        ("10.0.0.9", ("203.0.113.7, ",), "10.0.0.9"),
    ],
)
async def test_the_client_is_the_last_that_no_proxy_is(
    peer: str, forwarded: tuple[str, ...], whose: str
) -> None:
    seen = Seen()
    door = Addresses(seen, ["10.0.0.0/8"], None)  # type: ignore[arg-type]
    assert await asked(door, peer, forwarded=forwarded) == 200
    assert seen.whose == [whose]


async def test_an_address_has_its_requests_and_each_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1_000.0]
    monkeypatch.setattr(addresses.time, "monotonic", lambda: now[0])
    door = Addresses(Seen(), ["10.0.0.0/8"], 6, ["192.0.2.0/24"])  # type: ignore[arg-type]
    assert [await asked(door, "203.0.113.7") for _ in range(8)] == [200] * 6 + [429] * 2
    assert await asked(door, "203.0.113.8") == 200
    assert await asked(door, "10.0.0.1", forwarded=("203.0.113.7",)) == 429, "whoever it comes through"
    assert await asked(door, "10.0.0.1", forwarded=("203.0.113.9",)) == 200
    assert await asked(door, "203.0.113.7", "/health") == 200
    assert [await asked(door, "192.0.2.4") for _ in range(20)] == [200] * 20
    first = [await asked(door, f"2001:db8:0:1::{n}") for n in range(1, 9)]
    assert first == [200] * 6 + [429] * 2, "a network of IPv6 is one"
    now[0] += 10.0
    assert [await asked(door, "203.0.113.7") for _ in range(2)] == [200, 429], "one in ten seconds more"
    now[0] += 600.0
    assert [await asked(door, "203.0.113.7") for _ in range(7)] == [200] * 6 + [429]
    none = Addresses(Seen(), [], 0)  # type: ignore[arg-type]
    assert await asked(none, "203.0.113.7") == 429


async def test_memory_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "MOST_ADDRESSES", 100)
    door = Addresses(Seen(), [], 5)  # type: ignore[arg-type]
    for n in range(1_000):
        await asked(door, f"198.18.{n // 250}.{n % 250}")
    assert len(door._until) == 100


@given(st.lists(st.text(max_size=30), max_size=40))
def test_whatever_the_header_says_there_is_an_address(hops: list[str]) -> None:
    door = Addresses(Seen(), ["10.0.0.0/8"], None)  # type: ignore[arg-type]
    request = make_mocked_request("GET", "/", headers=[("x-forwarded-for", ",".join(hops))])
    found = door._behind(request, addresses._read("10.0.0.9"))  # type: ignore[arg-type]
    assert addresses._read(str(found)) == found


@pytest.mark.parametrize(
    ("toml", "whose", "statuses"),
    [
        ("", "10.0.0.9", [200] * 4),
        ('[server]\ntrusted_proxies = ["10.0.0.0/8"]', "203.0.113.7", [200] * 4),
        ("[limits]\naddress_requests_per_minute = 2", "10.0.0.9", [200, 200, 429, 429]),
    ],
)
async def test_the_door_of_a_role_is_as_the_configuration_has_it(
    toml: str, whose: str, statuses: list[int], tmp_path: Path
) -> None:
    file = tmp_path / "node.toml"
    file.write_text(toml)
    node: Any = SimpleNamespace(loaded=load(file, {}))
    seen: Any = Seen()
    door: Any = _door(node, seen, Health("Router", {}), lambda: False)
    assert [await asked(door, "10.0.0.9", forwarded=("203.0.113.7",)) for _ in range(4)] == statuses
    assert set(seen.whose) == {whose}


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Installation]:
    toml = "[limits]\naddress_requests_per_minute = 40\n[auth]\nenabled = true\n" + configured_key("k")
    async with installed("one", tmp_path, toml) as made:
        yield made


async def test_on_a_node_before_anybody_is_asked_who_they_are(place: Installation) -> None:
    told = [(await place.ask("Router", "wrong", "GET", "/v1/models"))[0] for _ in range(45)]
    assert told[:40] == [401] * 40 and told[41:] == [429] * 4
    async with place.http.get(place.urls["Router"] + "/v1/models") as reply:
        body = await reply.json()
        assert reply.status == 429 and 1 <= int(reply.headers["retry-after"]) <= 60
        assert body["error"]["code"] == "rate_limit_exceeded"
    assert (await place.ask("Router", ADMIN, "GET", "/v1/models"))[0] == 429, "who has a key, too"
    assert (await place.ask("Router", ADMIN, "GET", "/health"))[0] == 200
