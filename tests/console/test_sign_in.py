"""Signing in to the console with a real browser: at a provider of identities, with a password, and away again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from intellirouter.identity.passwords import hashed
from intellirouter.roles.keys import PEOPLE
from intellirouter.security.people import new_account
from tests.console.conftest import Seat, browser, seat
from tests.servers.identity_provider import CLIENT, SECRET, IdentityProvider, Person, identity_provider
from tests.servers.installation import Installation, installed

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(600)]
PASSWORD = "a horse, a battery and a staple"
TOML = """
[auth]
enabled = true
[[auth.oidc]]
name = "corp"
title = "Corp"
issuer = "{url}"
client_id = "{client}"
client_secret = "{secret}"
end_session = true
role_map = {{ ops = "admin" }}
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[tuple[Installation, IdentityProvider]]:
    ann = Person("ann-1", {"groups": ["ops"], "name": "Ann"})
    async with identity_provider(ann=ann, bob=Person("bob-1")) as idp:
        toml = TOML.format(url=idp.url, client=CLIENT, secret=SECRET)
        async with installed("one", tmp_path_factory.mktemp("sign-in"), toml) as node:
            idp.redirects.add(f"{node.urls['Router']}/auth/oidc/corp/callback")
            people = node.nodes["Router"].opened[PEOPLE]
            password = await asyncio.to_thread(hashed, PASSWORD)
            await people.create(new_account("carol", roles=("viewer",), password=password))
            yield node, idp


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def started() -> AsyncIterator[Browser]:
    async with browser() as found:
        yield found


async def at_the_provider(found: Seat, user: str) -> None:
    await found.page.get_by_role("link", name="Sign in with Corp").click()
    await expect(found.page).to_have_title("Sign in at the provider")
    await found.page.get_by_label("User").fill(user)
    await found.page.get_by_role("button", name="Continue").click()


async def test_at_a_provider_of_another_site_and_away(
    started: Browser, place: tuple[Installation, IdentityProvider]
) -> None:
    node, idp = place
    async with seat(started, node.urls["Router"]) as found:
        await found.page.goto(f"{found.url}/console/models")
        await expect(found.page.locator("code").first).to_have_text(
            "intellirouter keys create NAME --scope admin"
        )
        assert "`" not in await found.page.locator("body").inner_text()
        await at_the_provider(found, "bob")
        await expect(found.page.get_by_text("have no role here yet")).to_be_visible()
        assert found.page.url == f"{found.url}/console", "and a reload does not say it again"
        await found.page.goto(f"{found.url}/console/models")
        await at_the_provider(found, "ann")
        await expect(found.page.get_by_role("heading", level=1, name="Models")).to_be_visible()
        found.elsewhere = [url for url in found.elsewhere if not url.startswith(idp.url)]
        await found.settled()
        await expect(found.page.locator(".who")).to_contain_text("user:ann-1@localhost")
        await found.turn_to("Keys and people")  # a write of who signed in so
        made = """(async () => { const { json, session, setToken } = await import("/console/api.js"); setToken((await session()).token);
            return (await json("router", "/admin/keys", {method: "POST", body: {name: "made-by-ann"}})).name; })()"""
        assert await found.page.evaluate(made) == "made-by-ann"
        assert not [cookie for cookie in await found.context.cookies() if not cookie["httpOnly"] or cookie["name"].startswith("intellirouter_signin")]  # fmt: skip
        await found.page.goto(f"{found.url}/console")
        await found.page.get_by_role("button", name="Sign out").click()
        await expect(found.page.get_by_role("link", name="Sign in with Corp")).to_be_visible()
        assert "/bye" in idp.log, "signed out there too"
        assert not found.troubles


async def test_with_a_name_and_a_password(
    started: Browser, place: tuple[Installation, IdentityProvider]
) -> None:
    async with seat(started, place[0].urls["Router"]) as found:
        found.refusals = True
        await found.page.goto(f"{found.url}/console")
        await found.page.get_by_label("Name").fill("carol")
        await found.page.get_by_label("Password").fill("wrong")
        await found.page.get_by_role("button", name="Sign in", exact=True).first.click()
        await expect(found.page.get_by_text("The name or the password is wrong.")).to_be_visible()
        await found.page.get_by_label("Password").fill(PASSWORD)
        await found.page.get_by_role("button", name="Sign in", exact=True).first.click()
        await expect(found.page.locator(".who")).to_contain_text("user:carol")
        people = place[0].nodes["Router"].opened[PEOPLE]
        await people.block("carol")
        await found.page.goto(f"{found.url}/console/models")
        await expect(found.page.get_by_label("Name")).to_be_visible()
