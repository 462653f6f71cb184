"""The outgoing door against real servers and a real name server, all on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import ssl
from collections.abc import AsyncIterator
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiohttp import web
from aiohttp.test_utils import TestServer
from hypothesis import given
from hypothesis import strategies as st

from intellirouter.config.schema.outgoing import OutgoingSection
from intellirouter.errors import (
    AnswerTooLong,
    InvalidRequest,
    UpstreamError,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from intellirouter.transport.outgoing.addresses import complaint
from intellirouter.transport.outgoing.door import Answered, Ask, OutgoingDoor, WrongType
from intellirouter.transport.outgoing.places import AddressRefused, Allowed
from tests.servers.name_server import name_server
from tests.transport.outgoing.ways import WAYS, ZONE


class Place:
    """A web server that writes down what reaches it. `/to?…` redirects there; `/echo` says what it was asked."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        self.heard: list[web.Request] = []
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._handle)
        self.server = TestServer(app, host=host, port=port)

    async def _handle(self, request: web.Request) -> web.Response:
        self.heard.append(request)
        match request.path:
            case "/to":
                status = int(request.query.get("status", "302"))
                return web.Response(status=status, headers={"location": request.query["url"]})
            case "/long":
                return web.Response(body=b"x" * 50_000)
            case "/bomb":
                body = gzip.compress(b"\0" * 50_000_000)
                return web.Response(body=body, headers={"content-encoding": "gzip"})
            case "/small":
                return web.Response(body=gzip.compress(b"small"), headers={"content-encoding": "gzip"})
            case "/hang":
                await request.read()
                await asyncio.sleep(120)
            case "/missing":
                return web.Response(status=404, text="gone")
        body = (await request.read()).decode()
        return web.json_response({"method": request.method, "headers": dict(request.headers), "body": body})

    def url(self, path: str) -> str:
        return f"http://{self.server.host}:{self.server.port}{path}"

    @property
    def port(self) -> int:
        assert self.server.port is not None
        return self.server.port


@contextlib.asynccontextmanager
async def place(host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[Place]:
    made = Place(host, port)
    await made.server.start_server()
    try:
        yield made
    finally:
        await made.server.close()


@contextlib.asynccontextmanager
async def door(**section: Any) -> AsyncIterator[OutgoingDoor]:
    async with contextlib.aclosing(OutgoingDoor(OutgoingSection(**section))) as made:
        yield made


async def asked(door: OutgoingDoor, url: str, **more: Any) -> Answered:
    return await door.send(Ask(url, **more))


async def test_no_way_leads_inside() -> None:
    """Nor does one behind a redirect of a server that may be asked."""
    async with place() as victim, place() as helper, name_server(ZONE) as names:
        assert len(WAYS) >= 40
        allow = [f"127.0.0.1:{helper.port}"]
        async with door(name_servers=[names.address], allow=allow) as strict:
            for way in WAYS:
                url = way.format(port=victim.port)
                with pytest.raises(AddressRefused):
                    await asked(strict, url)
                helper_url = str(helper.server.make_url("/to").with_query(url=url))
                if not url.isprintable() or "#" in url:  # no header can say it
                    continue
                with contextlib.suppress(UpstreamError, AddressRefused):
                    there = await asked(strict, helper_url)  # a relative one leads to the helper itself
                    assert there.url.startswith(helper.url("/")), url
        assert victim.heard == []


async def test_the_connection_is_made_to_the_address_that_was_checked() -> None:
    """A name that leads elsewhere when it is asked again cannot move the request."""
    zone = {"moves.test": [["127.0.0.1"], ["127.0.0.66"]], "back.test": [["127.0.0.66"], ["127.0.0.1"]]}
    async with place() as good, place("127.0.0.66", good.port) as victim, name_server(zone) as names:
        async with door(name_servers=[names.address], allow=[f"127.0.0.1:{good.port}"]) as made:
            assert (await asked(made, f"http://moves.test:{good.port}/")).status == 200
            assert names.asked["moves.test"] == 1
            with pytest.raises(AddressRefused):
                await asked(made, f"http://back.test:{good.port}/")
        assert (len(good.heard), len(victim.heard)) == (1, 0)


async def test_what_is_allowed_by_name_is_reached() -> None:
    zone = {"a.corp.test": [["127.0.0.1"]], "b.test": [["127.0.0.1"]], "cloud.test": [["169.254.169.254"]]}
    async with place() as there, name_server(zone) as names:
        for allow, host, reached in (
            ("a.corp.test", "a.corp.test", True),
            ("*.corp.test", "A.corp.test.", True),
            (f"b.test:{there.port}", "b.test", True),
            ("b.test:1", "b.test", False),
            ("127.0.0.0/8", "b.test", True),
            ("127.0.0.1", "127.0.0.1", True),
            ("localhost", "localhost", True),
            ("a.corp.test", "b.test", False),
        ):
            servers = () if host == "localhost" else (names.address,)
            async with door(name_servers=servers, allow=[allow]) as made:
                if reached:
                    assert (await asked(made, f"http://{host}:{there.port}/")).status == 200, allow
                else:
                    with pytest.raises(AddressRefused, match="allow"):
                        await asked(made, f"http://{host}:{there.port}/")
    allowed = Allowed.read(["169.254.0.0/16", "0.0.0.0/0"])
    assert not allowed.address(ip_address("169.254.169.254"), 80)
    assert Allowed.read(["169.254.169.254"]).address(ip_address("169.254.169.254"), 80)


async def test_a_redirect_takes_no_secret_along_and_is_bounded() -> None:
    async with place() as one, place() as two, door(allow=["127.0.0.1"], max_redirects=3) as made:
        secret = {"Authorization": "Bearer s", "X-Api-Key": "k", "Cookie": "c", "Accept": "a/b"}

        def to(url: str, status: int = 302) -> str:
            return str(one.server.make_url("/to").with_query(url=url, status=str(status)))

        other = msg(await asked(made, to(two.url("/echo")), headers=secret))["headers"]
        assert other["Accept"] == "a/b"
        assert not {"Authorization", "X-Api-Key", "Cookie"} & other.keys()
        same = msg(await asked(made, to("/echo"), headers=secret))["headers"]
        assert same["Authorization"] == "Bearer s"
        post = {"method": "POST", "body": b"hello"}
        assert msg(await asked(made, to("/echo", 303), **post)) | {"headers": 0} == {
            "method": "GET",
            "headers": 0,
            "body": "",
        }
        assert msg(await asked(made, to("/echo", 307), **post))["body"] == "hello"
        with pytest.raises(UpstreamUnavailable, match="redirects more than 3"):
            await asked(made, to(to(to(to("/echo")))))
        assert (await asked(made, to("/echo"), redirects=0)).status == 302
        assert (await asked(made, to("/echo"), trusted=True)).status == 302


async def test_size_time_and_type_are_bounded() -> None:
    async with place() as there, door(allow=["127.0.0.1"], timeout_seconds=0.5) as hasty:
        with pytest.raises(UpstreamTimeout):
            await asked(hasty, there.url("/hang"), seconds=90)
    async with place() as there, door(allow=["127.0.0.1"], max_bytes=20_000) as made:
        for path in ("/long", "/bomb"):
            with pytest.raises(AnswerTooLong):
                await asked(made, there.url(path))
        assert (await asked(made, there.url("/small"))).body == b"small"
        with pytest.raises(WrongType):
            await asked(made, there.url("/echo"), types=("image/*",))
        assert (await asked(made, there.url("/echo"), types=("application/*",))).status == 200
        assert (await asked(made, there.url("/missing"))).status == 404
        for headers in ({"Host": "x"}, {"Content-Length": "1"}, {"a b": "c"}, {"a": "b\r\nc: d"}, {"": "x"}):
            with pytest.raises(InvalidRequest):
                await asked(made, there.url("/echo"), headers=headers)


async def test_a_server_that_is_not_there_is_an_error_of_the_upstream() -> None:
    async with name_server({}) as names, door(name_servers=[names.address], allow=["127.0.0.1"]) as made:
        for url in ("http://127.0.0.1:1/", "http://nobody.test/"):
            with pytest.raises(UpstreamUnavailable):
                await asked(made, url)


async def test_https_holds_the_certificate_to_the_name(tmp_path: Path) -> None:
    authority, zone = trustme.CA(), {"right.test": [["127.0.0.1"]], "wrong.test": [["127.0.0.1"]]}
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("right.test").configure_cert(context)
    there = Place()
    await there.server.start_server(ssl=context)
    try:
        async with name_server(zone) as names:
            section = {
                "name_servers": [names.address],
                "allow": ["127.0.0.1"],
                "ca_file": tmp_path / "ca.pem",
            }
            async with door(**section) as made:
                assert (await asked(made, f"https://right.test:{there.port}/")).status == 200
                here = f"//right.test:{there.port}"
                moved = await asked(made, f"https:{here}/to?url=https:{here}/echo")
                assert (moved.status, msg(moved)["method"]) == (200, "GET")
                with pytest.raises(AddressRefused, match="from https:// to http://"):
                    await asked(made, f"https:{here}/to?url=http:{here}/echo")
                with pytest.raises(UpstreamUnavailable, match="TLS"):
                    await asked(made, f"https://wrong.test:{there.port}/")
    finally:
        await there.server.close()


async def test_a_proxy_is_asked_and_the_rules_hold_before_it() -> None:
    zone = {"inside.test": [["10.0.0.7"]]}
    async with place() as proxy, name_server(zone) as names:
        url = f"http://127.0.0.1:{proxy.port}"
        async with door(proxy=url, name_servers=[names.address]) as made:
            assert (await asked(made, "http://known-to-the-proxy.test/echo")).status == 200
            assert proxy.heard[0].headers["host"] == "known-to-the-proxy.test"
            for bad in ("http://inside.test/", "http://127.0.0.1/", "http://0x7f.1/"):
                with pytest.raises(AddressRefused):
                    await asked(made, bad)
        assert len(proxy.heard) == 1


@given(st.ip_addresses())
def test_an_address_that_is_not_of_the_internet_is_always_refused(address: Any) -> None:
    if not address.is_global or address.is_multicast:
        assert complaint(address) is not None


@given(st.ip_addresses(v=4))
def test_an_address_is_judged_the_same_however_it_is_carried(address: Any) -> None:
    for carrier in (0xFFFF << 32, 0x64FF9B << 96, 0):
        assert complaint(IPv6Address(carrier | int(address))) is not None


@pytest.mark.parametrize("entry", ["http://x", "a b", "10.0.0.0/99", "x:y", "", "300.1.1.1", "host:99999"])
def test_an_exception_that_cannot_be_meant_is_refused(entry: str) -> None:
    with pytest.raises(ValueError, match=r"must|not a name|no port"):
        Allowed.read(OutgoingSection(allow=[entry]).allow)  # type: ignore[arg-type]


def msg(answer: Answered) -> Any:
    return json.loads(answer.body)
