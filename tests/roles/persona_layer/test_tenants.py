"""Personas belong to a tenant, or are shared by the operator's word."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.conftest import StartNode, StartVendor, provider
from tests.roles.router.test_chat import ANSWER
from tests.servers.vendor import Play

SECRET = "the merger price is 41 million"
OURS = f'prompt = "You know that {SECRET}."\ntitle = "Ours"\n'
SHARED = 'prompt = "You belong to everybody: ROOT."\nmodel = "primary/m"\n'


def keys(*made: tuple[str, str, str]) -> str:
    """`[auth]` with keys of (name, tenant, scopes)."""
    rows = [
        f'[[auth.keys]]\nname = "{name}"\nsha256 = "{hashlib.sha256(name.encode()).hexdigest()}"\n'
        f'tenant = "{tenant}"\nscopes = [{", ".join(repr(scope) for scope in scopes.split())}]\n'
        for name, tenant, scopes in made
    ]
    return "[auth]\nenabled = true\n" + "".join(rows)


KEYS = keys(
    ("a-author", "acme", "inference personas"),
    ("a-plain", "acme", "inference"),
    ("b-author", "globex", "inference personas"),
    ("b-plain", "globex", "inference"),
    ("boss", "default", "admin"),
)


class Personas:
    """`/v1/personas` as several keys see it."""

    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self.http = http
        self.url = f"{url}/v1/personas"

    async def ask(self, key: str, method: str, path: str = "", body: Any = None) -> tuple[int, str]:
        headers = {"authorization": f"Bearer {key}"}
        async with self.http.request(method, self.url + path, json=body, headers=headers) as reply:
            return reply.status, await reply.text()


@pytest.fixture
async def personas(start_node: StartNode, http: aiohttp.ClientSession, tmp_path: Path) -> Personas:
    directory = tmp_path / "shared"
    directory.mkdir()
    (directory / "common.toml").write_text(SHARED)
    toml = KEYS + f'[persona_layer]\npersonas_path = "{directory}"\n'
    node = await start_node(toml, role="PersonaLayer")
    return Personas(http, node.listening[0].url)


ROUTES = [
    ("GET", "/secret", None),
    ("GET", "/secret@1", None),
    ("GET", "/secret/versions", None),
    ("POST", "/secret/render", {}),
    ("POST", "/secret/rollback", {"version": 1}),
    ("DELETE", "/secret", None),
]


async def test_another_tenants_persona_does_not_exist(personas: Personas) -> None:
    assert (await personas.ask("a-author", "PUT", "/secret", {"source": OURS}))[0] == 201
    for key in ("b-author", "b-plain", "boss"):
        for method, path, body in ROUTES:
            status, text = await personas.ask(key, method, path, body)
            assert status in (403, 404), (key, method, path)
            assert SECRET not in text
        assert "secret" not in (await personas.ask(key, "GET"))[1]
    # of the same name, and each its own
    assert (await personas.ask("b-author", "PUT", "/secret", {"source": 'prompt = "Theirs."'}))[0] == 201
    assert SECRET in (await personas.ask("a-author", "GET", "/secret"))[1]
    assert "Theirs" in (await personas.ask("b-author", "GET", "/secret"))[1]
    assert (await personas.ask("b-author", "DELETE", "/secret"))[0] == 200
    assert SECRET in (await personas.ask("a-author", "POST", "/secret/render", {}))[1]
    assert "b-author" not in (await personas.ask("a-author", "GET", "/secret/versions"))[1]


async def test_what_a_persona_says_is_for_those_who_write_them(personas: Personas) -> None:
    await personas.ask("a-author", "PUT", "/secret", {"source": OURS})
    status, text = await personas.ask("a-plain", "GET", "/secret")
    assert status == 200
    assert "Ours" in text
    assert SECRET not in text
    for method, path, body in ROUTES[2:]:
        assert (await personas.ask("a-plain", method, path, body))[0] == 403


async def test_shared_ones_are_the_operators(personas: Personas) -> None:
    for key in ("a-plain", "b-author"):
        status, text = await personas.ask(key, "GET", "/common")
        assert status == 200
        assert '"shared":true' in text
        assert ("ROOT" in text) is (key == "b-author")
    assert (await personas.ask("b-author", "DELETE", "/common"))[0] == 409
    assert (await personas.ask("b-author", "PUT", "/common?shared=true", {"source": OURS}))[0] == 403
    # a tenant's own of that name hides it from this tenant alone, and may build on it
    child = 'prompt = "{{ parent }} And to us."\nextends = "common"\n'
    assert (await personas.ask("b-author", "PUT", "/child", {"source": child}))[0] == 201
    assert "everybody: ROOT. And to us." in (await personas.ask("b-author", "POST", "/child/render", {}))[1]
    assert (await personas.ask("b-author", "PUT", "/common", {"source": OURS, "version": 1}))[0] == 201
    assert "ROOT" in (await personas.ask("a-author", "GET", "/common"))[1]
    assert '"shared":false' in (await personas.ask("b-plain", "GET", "/common"))[1]
    changed = {"source": SHARED.replace("ROOT", "BRANCH")}
    assert (await personas.ask("boss", "PUT", "/common?shared=true", changed))[0] == 200
    assert "BRANCH" in (await personas.ask("a-author", "GET", "/common"))[1]
    assert "everybody: BRANCH" in (await personas.ask("a-author", "POST", "/common/render", {}))[1]


async def test_who_may_use_some_personas_builds_on_no_others(
    start_node: StartNode, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """What extends another says what that one says."""
    policy = tmp_path / "rbac.yaml"
    policy.write_text("roles: {helper: {permissions: ['personas:*'], personas: ['support*']}}\n")
    toml = keys(("a-author", "acme", "inference personas"), ("helper", "acme", "inference"))
    toml = toml.replace("enabled = true", f'enabled = true\npolicy_file = "{policy}"', 1)
    head, _, tail = toml.rpartition("scopes = ['inference']")
    node = await start_node(f"{head}roles = ['helper']{tail}", role="PersonaLayer")
    personas = Personas(http, node.listening[0].url)
    for name in ("secret", "support"):
        assert (await personas.ask("a-author", "PUT", f"/{name}", {"source": OURS}))[0] == 201
    for parent, expected in (("secret", 403), ("support", 201)):
        child = {"source": f'prompt = "{{{{ parent }}}}"\nextends = "{parent}"\n'}
        status, told = await personas.ask("helper", "PUT", f"/support-{parent}", child)
        assert status == expected and SECRET not in told, told


@pytest.mark.parametrize("tenant", ["..", "a/b", "a%2Fb", "../acme", "ACME", "é", "x" * 300, ".", "acme%20"])
async def test_a_tenants_name_is_no_path(
    start_node: StartNode, http: aiohttp.ClientSession, tmp_path: Path, tenant: str
) -> None:
    directory = tmp_path / "shared"
    odd = keys(("odd", tenant, "inference personas"), ("a", "acme", "inference personas"))
    node = await start_node(odd + f'[persona_layer]\npersonas_path = "{directory}"\n', role="PersonaLayer")
    personas = Personas(http, node.listening[0].url)
    assert (await personas.ask("odd", "PUT", "/secret", {"source": OURS}))[0] == 201
    assert SECRET in (await personas.ask("odd", "GET", "/secret"))[1]
    assert (await personas.ask("a", "GET", "/secret"))[0] == 404
    (file,) = directory.rglob("secret.toml")
    assert file.parent.parent == directory / "tenants"


async def test_a_request_gets_its_tenants_persona_and_a_key_only_its_models(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    vendor = await start_vendor(Play.json(ANSWER))
    directory = tmp_path / "shared"
    directory.mkdir()
    (directory / "common.toml").write_text(SHARED)
    limited = keys(("few", "acme", "inference personas")).replace(
        "scopes =", 'models = ["persona/common", "persona/mine"]\nscopes ='
    )
    toml = provider(vendor) + KEYS + limited.removeprefix("[auth]\nenabled = true\n")
    node = await start_node(toml + f'[persona_layer]\npersonas_path = "{directory}"\n', role="All")
    urls = {each.role: each.url for each in node.listening}
    personas = Personas(http, urls["PersonaLayer"])
    await personas.ask("a-author", "PUT", "/secret", {"source": OURS})
    await personas.ask("few", "PUT", "/mine", {"source": 'prompt = "Mine."\nmodel = "primary/m"\n'})

    async def chat(key: str, **more: Any) -> int:
        body = {"model": "primary/m", "messages": [{"role": "user", "content": "Hi"}], **more}
        headers = {"authorization": f"Bearer {key}"}
        async with http.post(f"{urls['Router']}/v1/chat/completions", json=body, headers=headers) as reply:
            return reply.status

    assert await chat("a-plain", persona="secret") == 200
    assert SECRET in str(vendor.received[-1].json)
    assert await chat("b-author", persona="secret") == 404
    assert await chat("b-author", model="persona/secret") == 404
    assert await chat("few") == 403
    assert await chat("few", model="persona/common") == 200  # the operator leads there
    assert await chat("few", model="persona/mine") == 403  # nobody leads oneself to what one may not use
    assert await chat("few", model="persona/secret") == 403
