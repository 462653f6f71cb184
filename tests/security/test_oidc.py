"""Signing in at a provider of identities: every way a sign-in can be forged, replayed, taken over, or go stale."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec

from intellirouter.identity.oidc import grants, way
from intellirouter.roles.keys import STATE
from intellirouter.roles.router import auth
from intellirouter.roles.router.auth_oidc import page_of
from tests.servers.identity_provider import CLIENT, SECRET, IdentityProvider, Person, identity_provider
from tests.servers.installation import Installation, installed

TOML = """
[auth]
enabled = true
[[auth.oidc]]
name = "corp"
title = "Corp"
issuer = "{url}"
client_id = "{client}"
client_secret = "{secret}"
tenant_claim = "org"
role_map = {{ devs = "developer", by-userinfo = "viewer" }}
[[auth.oidc]]
name = "asks"
issuer = "{url}"
client_id = "{client}"
client_secret = "{secret}"
userinfo = true
scopes = ["openid"]
role_map = {{ by-userinfo = "viewer" }}
required_claims = {{ hd = "example.com" }}
"""


class Place:
    """An installation, its provider, and browsers without a screen."""

    def __init__(self, node: Installation, idp: IdentityProvider) -> None:
        self.node, self.idp = node, idp
        self.router = node.urls["Router"]

    def browser(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))

    async def to_provider(self, browser: Any, name: str = "corp", **asked: Any) -> dict[str, str]:
        """Begin; what the provider is asked."""
        place = f"{self.router}/auth/oidc/{name}/start?{urlencode(asked)}"
        async with browser.get(place, allow_redirects=False) as reply:
            assert reply.status == 302, await reply.text()
            return {
                key: values[0] for key, values in parse_qs(urlsplit(reply.headers["location"]).query).items()
            }

    async def back(self, browser: Any, user: str, asked: dict[str, str]) -> str:
        """Sign in there; where the provider sends the browser."""
        form = {"user": user, "asked": urlencode(asked)}
        async with browser.post(f"{self.idp.url}/authorize", data=form, allow_redirects=False) as reply:
            return reply.headers["location"]

    async def land(self, browser: Any, where: str) -> str:
        """Go there; where one is led in the end."""
        async with browser.get(where, allow_redirects=False) as reply:
            assert reply.status == 302, await reply.text()
            return reply.headers["location"]

    async def enter(self, browser: Any, user: str, name: str = "corp", **asked: Any) -> str:
        told = await self.to_provider(browser, name, **asked)
        return await self.land(browser, await self.back(browser, user, told))

    async def session(self, browser: Any) -> dict[str, Any]:
        async with browser.get(f"{self.router}/console/api/session") as reply:
            return dict(await reply.json())

    async def post(self, path: str, **body: Any) -> tuple[int, Any]:
        async with self.node.http.post(self.router + path, json=body) as reply:
            return reply.status, await reply.json()

    async def by_command(self, browser: Any, user: str = "ann") -> tuple[str, str]:
        """A command's code and verifier."""
        verifier = "v" * 43
        where = await self.enter(
            browser, user, port=45678, echo="e" * 8, challenge=way.challenge_of(verifier)
        )
        assert where.startswith("http://127.0.0.1:45678/?"), where
        told = parse_qs(urlsplit(where).query)
        assert told["echo"] == ["e" * 8]
        return told["code"][0], verifier


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    ann = Person("ann-1", {"groups": ["devs"], "org": "acme", "email": "ann@example.com"})
    bob = Person("bob-1", {"groups": ["sales"], "org": "acme"})
    eve = Person("eve-1", {"hd": "example.com"})
    async with identity_provider(ann=ann, bob=bob, eve=eve) as idp:
        toml = TOML.format(url=idp.url, client=CLIENT, secret=SECRET)
        async with installed("one", tmp_path_factory.mktemp("oidc"), toml) as node:
            place = Place(node, idp)
            idp.redirects |= {f"{place.router}/auth/oidc/{name}/callback" for name in ("corp", "asks")}
            yield place


@pytest.fixture
def place(shared: Place, monkeypatch: pytest.MonkeyPatch) -> Place:
    """The same, as it was at first."""
    idp = shared.idp
    idp.twist, idp.signs, idp.iss, idp.broken = (lambda claims: claims), None, None, None
    for person in idp.people.values():
        person.blocked = False
    monkeypatch.setattr("intellirouter.roles.router.auth_oidc.COME_BACKS", 10_000)
    return shared


@pytest.mark.asyncio(loop_scope="module")
async def test_a_browser_comes_in_with_tenant_and_roles_of_its_claims(place: Place) -> None:
    before = set(place.idp.refreshes)
    async with place.browser() as browser:
        assert await place.enter(browser, "ann", to="/console/usage?by=model") == "/console/usage?by=model"
        told = await place.session(browser)
        assert told["signed_in"] and told["tenant"] == "acme" and "inference:chat" in told["permissions"]
        assert "admin:keys:read" not in told["permissions"] and not told["admin"]
        cookies = {cookie.key: cookie for cookie in browser.cookie_jar}
        assert (
            cookies["intellirouter_console"]["httponly"]
            and cookies["intellirouter_console"]["samesite"] == "Strict"
        )
        assert not [name for name in cookies if name.startswith("intellirouter_signin")], "the way is over"
        asked = place.idp.asked[-1]
        assert len(asked["code_verifier"]) >= 43 and "client_secret" not in asked
        async with browser.delete(
            f"{place.router}/console/api/session", headers={"x-console-token": told["token"]}
        ) as reply:
            assert reply.status == 200
        assert not (await place.session(browser))["signed_in"]
        assert set(place.idp.refreshes) <= before, (
            "and the provider has forgotten what could be asked again with"
        )


@pytest.mark.asyncio(loop_scope="module")
async def test_userinfo_and_required_claims(place: Place) -> None:
    async with place.browser() as browser:
        assert await place.enter(browser, "eve", "asks") == "/console"
        assert "models:read" in (await place.session(browser))["permissions"]
    async with place.browser() as browser:
        assert await place.enter(browser, "ann", "asks") == "/console#refused=denied", "not of example.com"
        assert not (await place.session(browser))["signed_in"]


@pytest.mark.asyncio(loop_scope="module")
async def test_who_has_no_role_here_is_told_so_and_leaves_nothing(place: Place) -> None:
    before = len((await place.node.ask("Router", "sk-of-the-admin", "GET", "/admin/users"))[1]["data"])
    async with place.browser() as browser:
        assert await place.enter(browser, "bob") == "/console#refused=role"
    told = (await place.node.ask("Router", "sk-of-the-admin", "GET", "/admin/users"))[1]["data"]
    assert len(told) == before and not [one for one in told if one.get("subject") == "bob-1"]


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("nonce", {"nonce": "another"}), ("no nonce", {"nonce": None}), ("audience", {"aud": "another"}),
        ("audiences", {"aud": [CLIENT, "another"]}), ("party", {"azp": "another"}), ("issuer", {"iss": "https://elsewhere.example"}),
        ("expired", {"exp": 1_000}), ("no end", {"exp": None}), ("future", {"iat": 2**33}), ("no subject", {"sub": None}),
        ("subject", {"sub": ["ann-1"]}), ("long subject", {"sub": "a" * 300}), ("at_hash", {"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}),
        ("tenant", {"org": None}), ("tenant kind", {"org": {"a": 1}}),
    ],
)  # fmt: skip
@pytest.mark.asyncio(loop_scope="module")
async def test_an_id_token_that_does_not_hold_lets_nobody_in(
    place: Place, name: str, changes: dict[str, Any]
) -> None:
    def twist(claims: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in {**claims, **changes}.items() if value is not None}

    place.idp.twist = twist
    async with place.browser() as browser:
        assert await place.enter(browser, "ann") == "/console#refused=denied"
        assert not (await place.session(browser))["signed_in"]


@pytest.mark.asyncio(loop_scope="module")
async def test_a_token_that_another_key_signed(place: Place) -> None:
    place.idp.signs = ec.generate_private_key(ec.SECP256R1())
    async with place.browser() as browser:
        assert await place.enter(browser, "ann") == "/console#refused=denied"


@pytest.mark.parametrize("said", ["https://elsewhere.example", ""])
@pytest.mark.asyncio(loop_scope="module")
async def test_an_answer_of_another_provider(place: Place, said: str) -> None:
    place.idp.iss = said
    asked = len(place.idp.asked)
    async with place.browser() as browser:
        assert await place.enter(browser, "ann") == "/console#refused=denied"
    assert len(place.idp.asked) == asked, "the code was shown to nobody"


@pytest.mark.asyncio(loop_scope="module")
async def test_a_code_comes_in_once_and_in_the_browser_that_began(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with place.browser() as victim, place.browser() as thief:
        where = await place.back(victim, "ann", await place.to_provider(victim))
        assert await place.land(thief, where) == "/console#refused=expired", "it carries no way"
        mine = await place.to_provider(thief)
        forged = where.replace(parse_qs(urlsplit(where).query)["state"][0], mine["state"])
        assert await place.land(thief, forged) == "/console#refused=expired", "another verifier: PKCE"
        assert not (await place.session(thief))["signed_in"]
        assert await place.land(victim, where) == "/console#refused=expired", (
            "the code was used up by the thief"
        )
    async with place.browser() as browser:
        where = await place.back(browser, "ann", await place.to_provider(browser))
        assert await place.land(browser, where) == "/console"
        assert await place.land(browser, where) == "/console#refused=expired", "once"
    async with place.browser() as browser:
        asked = await place.to_provider(browser)
        where = await place.back(browser, "ann", asked)
        assert await place.land(browser, where.replace("/corp/", "/asks/")) == "/console#refused=expired"
        monkeypatch.setattr(time, "time", lambda now=time.time: now() + way.SECONDS + 1)
        assert await place.land(browser, where) == "/console#refused=expired", "too late"


@pytest.mark.asyncio(loop_scope="module")
async def test_two_windows_do_not_disturb_one_another(place: Place) -> None:
    async with place.browser() as browser:
        first, second = (
            await place.to_provider(browser, to="/console/usage"),
            await place.to_provider(browser),
        )
        assert await place.land(browser, await place.back(browser, "ann", second)) == "/console"
        assert await place.land(browser, await place.back(browser, "ann", first)) == "/console/usage"


@pytest.mark.parametrize(
    "asked",
    [
        "//elsewhere.example", "https://elsewhere.example/console", "/\\elsewhere.example", "/console.elsewhere", "/admin/keys",
        "javascript:alert(1)", "/console\r\nset-cookie: a=b", "/console/../admin", "console", "/console/" + "a" * 600, "",
    ],
)  # fmt: skip
def test_nobody_is_led_elsewhere(asked: str) -> None:
    led = page_of(asked)
    assert led == "/console" or (led.startswith("/console/") and "elsewhere" not in led)


@pytest.mark.asyncio(loop_scope="module")
async def test_a_session_follows_the_provider(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    async with place.browser() as browser:
        await place.enter(browser, "ann")
        ann = place.idp.people["ann"]
        now = time.time
        monkeypatch.setattr(time, "time", lambda: now() + 3_700)
        ann.claims["groups"] = ["by-userinfo"]
        place.idp.twist = lambda claims: {**claims, "iat": claims["iat"] - 3_700}
        try:
            held = (await place.session(browser))["permissions"]
            assert "inference:chat" not in held and "models:read" in held, "roles follow"
            monkeypatch.setattr(time, "time", lambda: now() + 7_500)
            place.idp.broken = lambda _: web.Response(status=500)
            assert (await place.session(browser))["signed_in"], "it is away: what held, holds for a while"
            monkeypatch.setattr(time, "time", lambda: now() + 3_700 + 12 * 3_600 + 1)
            assert not (await place.session(browser))["signed_in"], "and no longer than that"
        finally:
            ann.claims["groups"] = ["devs"]


@pytest.mark.asyncio(loop_scope="module")
async def test_who_is_let_go_at_the_provider_is_let_go_here(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with place.browser() as browser:
        await place.enter(browser, "ann")
        code, verifier = await place.by_command(browser)
        status, told = await place.post(
            "/auth/token", grant_type="authorization_code", code=code, code_verifier=verifier
        )
        assert status == 200
        status, told = await place.post("/auth/refresh", refresh_token=told["refresh_token"])
        assert status == 200, "the provider is not asked each time"
        place.idp.people["ann"].blocked = True
        now = time.time
        monkeypatch.setattr(time, "time", lambda: now() + 3_700)
        assert not (await place.session(browser))["signed_in"]
        assert (await place.post("/auth/refresh", refresh_token=told["refresh_token"]))[0] == 401
        monkeypatch.setattr(time, "time", now)
        assert (await place.node.ask("Router", told["access_token"], "GET", "/v1/models"))[0] == 401


@pytest.mark.asyncio(loop_scope="module")
async def test_a_commands_code_is_good_once_with_its_verifier(place: Place) -> None:
    async with place.browser() as browser:
        code, verifier = await place.by_command(browser)
        told = [
            (await place.post("/auth/token", grant_type="authorization_code", code=code, code_verifier=said))[
                0
            ]
            for said in ("w" * 43, verifier)
        ]
        assert told == [401, 401], "a wrong verifier uses it up"
        code, verifier = await place.by_command(browser)
        body = {"grant_type": "authorization_code", "code": code, "code_verifier": verifier}
        answers = await asyncio.gather(*(place.post("/auth/token", **body) for _ in range(5)))
        assert sorted(status for status, _ in answers) == [200, 401, 401, 401, 401]
        token = next(told for status, told in answers if status == 200)["access_token"]
        assert (await place.node.ask("Router", token, "GET", "/auth/whoami"))[1]["tenant"] == "acme"
        assert (await place.node.ask("ChainEngine", token, "GET", "/v1/chains"))[0] == 200


@pytest.mark.parametrize(
    "asked",
    [
        {"port": "80", "echo": "e", "challenge": "c" * 43}, {"port": "99999", "echo": "e", "challenge": "c" * 43},
        {"port": "٤٥٦٧٨", "echo": "e", "challenge": "c" * 43}, {"port": "45678@elsewhere.example", "echo": "e", "challenge": "c" * 43},
        {"port": "45678", "echo": "", "challenge": "c" * 43}, {"port": "45678", "echo": "e", "challenge": "short"}, {"port": "45678"},
    ],
)  # fmt: skip
@pytest.mark.asyncio(loop_scope="module")
async def test_what_is_no_command(place: Place, asked: dict[str, str]) -> None:
    async with place.browser() as browser:
        where = f"{place.router}/auth/oidc/corp/start"
        async with browser.get(where, params=asked, allow_redirects=False) as reply:
            assert reply.status == 400 and (await reply.json())["error"]["param"]


@pytest.mark.asyncio(loop_scope="module")
async def test_a_page_begins_no_commands_sign_in(place: Place) -> None:
    asked = {"port": "45678", "echo": "e", "challenge": "c" * 43}
    async with place.browser() as browser:
        headers = {"sec-fetch-site": "cross-site"}
        where = f"{place.router}/auth/oidc/corp/start"
        async with browser.get(where, params=asked, headers=headers, allow_redirects=False) as reply:
            assert reply.status == 403


@pytest.mark.asyncio(loop_scope="module")
async def test_a_device(place: Place) -> None:
    status, code = await place.post("/auth/oidc/corp/device")
    assert status == 200 and code["verification_uri"].endswith("/activate") and code["interval"] == 1
    assert not any(one in code["device_code"] for one in place.idp.devices), (
        "only we ask the provider with it"
    )
    body = {"grant_type": way.DEVICE_GRANT, "provider": "corp", "device_code": code["device_code"]}
    status, told = await place.post("/auth/token", **body)
    assert status == 400 and told["error"]["code"] == "authorization_pending"
    assert (await place.post("/auth/token", **{**body, "provider": "asks"}))[0] == 401, "of another provider"
    assert (await place.post("/auth/token", **{**body, "device_code": code["device_code"][:-4] + "AAAA"}))[
        0
    ] == 401
    form = {"user": "ann", "code": code["user_code"]}
    async with place.node.http.post(f"{place.idp.url}/activate", data=form) as reply:
        assert reply.status == 200
    status, told = await place.post("/auth/token", **body)
    assert status == 200
    assert (await place.node.ask("Router", told["access_token"], "POST", "/auth/logout"))[0] == 200
    assert (await place.node.ask("Router", told["access_token"], "GET", "/v1/models"))[0] == 401
    status, code = await place.post("/auth/oidc/corp/device")
    async with place.node.http.post(
        f"{place.idp.url}/activate", data={"user": "nobody", "code": code["user_code"]}
    ):
        pass
    status, told = await place.post("/auth/token", **{**body, "device_code": code["device_code"]})
    assert status == 401 and told["error"]["code"] == "sign_in_refused"


def _redirect(_: web.Request) -> web.Response:
    return web.Response(status=302, headers={"location": "http://169.254.169.254/"})


async def _slow(_: web.Request) -> web.Response:
    await asyncio.sleep(30)
    return web.Response()


@pytest.mark.parametrize(
    "answer",
    [lambda _: web.Response(body=b"x" * 2_000_000), lambda _: web.Response(body=b"[" * 500_000), lambda _: web.json_response([]),
     lambda _: web.json_response({}), lambda _: web.json_response({"id_token": 1, "access_token": 2}), lambda _: web.json_response({"error": ["x"]}, status=400), _redirect, _slow],
    ids=["long", "deep", "list", "empty", "kinds", "error", "redirect", "slow"],
)  # fmt: skip
@pytest.mark.asyncio(loop_scope="module")
async def test_a_provider_that_answers_anything(
    place: Place, answer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("intellirouter.identity.issuers.FETCH_SECONDS", 0.5)
    place.idp.broken = lambda request: answer(request) if request.path in ("/token", "/device") else None
    async with place.browser() as browser:
        assert await place.enter(browser, "ann") == "/console#refused=provider"
        assert (await place.node.ask("Router", "x", "GET", "/health"))[0] == 200, "nothing hangs"
    status, told = await place.post("/auth/oidc/corp/device")
    assert status == 503 and "log says why" in told["error"]["message"]


@pytest.mark.asyncio(loop_scope="module")
async def test_strangers_make_us_ask_the_provider_so_often_and_no_more(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("intellirouter.roles.router.auth_oidc.COME_BACKS", 3)
    monkeypatch.setattr(auth, "WINDOW_SECONDS", 901.0)  # a window of its own
    told = [(await place.post("/auth/oidc/corp/device"))[0] for _ in range(5)]
    assert told == [200, 200, 200, 429, 429]


@pytest.mark.asyncio(loop_scope="module")
async def test_what_is_kept_holds_no_secret_in_its_name_and_ends(place: Place) -> None:
    async with place.browser() as browser:
        await place.enter(browser, "ann")
        store = place.node.nodes["Router"].opened[STATE]
        names = [name async for name in store.scan(grants.GRANT)]
        assert names and not [name for name in names if any(token in name for token in place.idp.refreshes)]


@pytest.mark.asyncio(loop_scope="module")
async def test_the_ways_in_are_told_to_who_is_not_in(place: Place) -> None:
    async with place.browser() as browser:
        told = await place.session(browser)
        ways = {
            "password": False,
            "providers": [{"name": "corp", "title": "Corp"}, {"name": "asks", "title": "asks"}],
        }
        assert told["ways"] == ways
        async with browser.get(f"{place.router}/auth/methods") as reply:
            assert await reply.json() == ways
        async with browser.get(f"{place.router}/auth/oidc/none/start") as reply:
            assert reply.status == 404 and "corp, asks" in (await reply.json())["error"]["message"]
        headers = {"host": "elsewhere.example"}
        async with browser.get(f"{place.router}/auth/oidc/corp/start", headers=headers) as reply:
            assert reply.status == 400 and re.search("public_url", await reply.text())
