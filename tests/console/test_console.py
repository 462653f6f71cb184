"""The console's endpoints on a running node: sign-in, the gateway, and what other sites cannot do."""

from __future__ import annotations

import hashlib
import re
from typing import Any

import aiohttp
import pytest

from intellirouter.app.node import Node
from intellirouter.roles.router.console.routes import CONSOLE
from tests.conftest import StartNode

ADMIN, READER = "sk-admin-key", "sk-reader-key"
KEYS = "".join(
    f'[[auth.keys]]\nname = "{name}"\nsha256 = "{hashlib.sha256(key.encode()).hexdigest()}"\nscopes = ["{scope}"]\ntenant = "{tenant}"\n'
    for name, key, scope, tenant in (
        ("boss", ADMIN, "admin", "default"),
        ("reader", READER, "inference", "acme"),
    )
)
WITH_KEYS = f"[auth]\nenabled = true\n{KEYS}"
OWN = {"x-console-token": "visitor"}


def url_of(node: Node, role: str = "Router") -> str:
    return next(listening.url for listening in node.listening if listening.role == role)


async def sign_in(
    http: aiohttp.ClientSession, url: str, **body: str
) -> tuple[dict[str, str], dict[str, Any]]:
    """The headers of a signed-in browser, and what the node said."""
    async with http.post(f"{url}/console/api/session", json=body, headers=OWN) as response:
        assert response.status == 201, await response.text()
        cookie = response.cookies["intellirouter_console"]
        assert cookie["httponly"]
        assert cookie["samesite"] == "Strict"
        assert cookie["path"] == "/console"
        told = await response.json()
    return {"cookie": f"intellirouter_console={cookie.value}", "x-console-token": told["token"]}, told


async def test_a_browser_finds_the_console_and_a_program_what_this_is(
    start_node: StartNode, http: aiohttp.ClientSession
) -> None:
    url = url_of(await start_node())
    async with http.get(url, headers={"accept": "text/html"}) as response:
        assert response.url.path == "/console"
        assert "<title>IntelliRouter</title>" in await response.text()
    async with http.get(url) as response:
        assert response.status == 200
        assert (await response.json())["name"] == "IntelliRouter"


async def test_every_file_a_page_names_is_there_and_nothing_comes_from_elsewhere(
    start_node: StartNode, http: aiohttp.ClientSession
) -> None:
    url = url_of(await start_node())
    seen, pending = set[str](), ["/console/"]
    while pending:
        path = pending.pop()
        if path in seen:
            continue
        seen.add(path)
        async with http.get(url + path) as response:
            assert response.status == 200, path
            assert "default-src 'self'" in response.headers["content-security-policy"]
            assert "frame-ancestors 'none'" in response.headers["content-security-policy"]
            text = await response.text()
        for base, name in re.findall(r'(?:from|import)\s*\(?\s*"(\.{1,2})/([\w/.-]+)"', text):
            folder = path.rsplit("/", 1 if base == "." else 2)[0]
            pending.append(f"{folder}/{name}")
        pending += re.findall(r'"(/console/[\w/.-]+\.(?:js|css|svg))"', text)
        assert not re.search(r'(?:src|href|url\(|import\()\s*=?\s*["\'(]?https?://', text), path
    assert {"/console/app.js", "/console/console.css", "/console/lib/preact.js"} <= seen
    for page in ("overview", "requests", "usage", "playground", "models", "routing", "keys", "personas", "documents", "chains", "tools", "system", "api"):  # fmt: skip
        async with http.get(f"{url}/console/pages/{page}.js") as response:
            assert response.status == 200, page
    async with http.get(f"{url}/console/lib/nothing.js") as response:
        assert response.status == 404


async def test_all_that_is_sent_for_the_console_is_less_than_300_kb(
    start_node: StartNode, http: aiohttp.ClientSession
) -> None:
    console = (await start_node()).opened[CONSOLE]
    assert console is not None
    files = console.pages._files.values()
    assert sum(len(file.packed) for file in files) < 300_000


async def test_without_keys_a_visitor_may_what_a_program_may_and_a_setup_link_makes_the_operator(
    start_node: StartNode, http: aiohttp.ClientSession
) -> None:
    node = await start_node(role="All")
    url, console = url_of(node), node.opened[CONSOLE]
    assert console is not None
    assert console.setup
    async with http.get(f"{url}/console/api/session") as response:
        told = await response.json()
    assert (told["signed_in"], told["admin"], told["keys"]) == (False, False, False)
    assert set(told["roles"]) == {"router", "chains", "rag", "personas"}
    for path, status in (("router/v1/models", 200), ("personas/v1/personas", 200), ("chains/v1/chains", 200), ("rag/rag/v1/collections", 200), ("router/admin/keys", 403), ("nobody/v1", 404)):  # fmt: skip
        async with http.get(f"{url}/console/api/{path}") as response:
            assert response.status == status, path
    headers, told = await sign_in(http, url, link=console.setup)
    assert told["admin"]
    async with http.get(f"{url}/console/api/router/admin/keys", headers=headers) as response:
        assert response.status == 200
    async with http.post(f"{url}/console/api/session", json={"link": console.setup}, headers=OWN) as response:
        assert response.status == 401  # it is good once
    async with http.delete(f"{url}/console/api/session", headers=headers) as response:
        assert response.status == 200
    async with http.get(f"{url}/console/api/router/admin/keys", headers=headers) as response:
        assert response.status == 403


async def test_with_keys_nothing_is_shown_before_a_sign_in_and_a_key_sees_what_it_may(
    start_node: StartNode, http: aiohttp.ClientSession
) -> None:
    node = await start_node(WITH_KEYS)
    url, console = url_of(node), node.opened[CONSOLE]
    assert console is not None
    assert console.setup is None
    async with http.get(f"{url}/console/api/router/v1/models") as response:
        assert response.status == 401
    async with http.post(f"{url}/console/api/session", json={"key": "sk-wrong"}, headers=OWN) as response:
        assert response.status == 401
    reader, told = await sign_in(http, url, key=READER)
    assert (told["key"], told["tenant"], told["admin"]) == ("reader", "acme", False)
    boss, _ = await sign_in(http, url, key=ADMIN)
    for headers, status in ((reader, 403), (boss, 200)):
        async with http.get(f"{url}/console/api/router/admin/keys", headers=headers) as response:
            assert response.status == status


async def test_a_session_ends_with_its_key(start_node: StartNode, http: aiohttp.ClientSession) -> None:
    url = url_of(await start_node(WITH_KEYS))
    boss, _ = await sign_in(http, url, key=ADMIN)
    async with http.post(
        f"{url}/console/api/router/admin/keys", json={"name": "temp"}, headers=boss
    ) as response:
        assert response.status == 201
        made = await response.json()
    for _ in range(600):
        async with http.post(
            f"{url}/console/api/session", json={"key": made["secret"]}, headers=OWN
        ) as response:
            if response.status == 201:
                temp = {"cookie": f"intellirouter_console={response.cookies['intellirouter_console'].value}"}
                break
    async with http.get(f"{url}/console/api/router/v1/models", headers=temp) as response:
        assert response.status == 200
    async with http.delete(f"{url}/console/api/router/admin/keys/{made['id']}", headers=boss) as response:
        assert response.status == 200
    for _ in range(600):
        async with http.get(f"{url}/console/api/router/v1/models", headers=temp) as response:
            if response.status == 401:
                return
    pytest.fail("the session outlived its key")


@pytest.mark.parametrize(
    "more",
    [
        {"x-console-token": "guessed"},
        {"x-console-token": ""},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
async def test_another_site_changes_nothing(
    start_node: StartNode, http: aiohttp.ClientSession, more: dict[str, str]
) -> None:
    url = url_of(await start_node(WITH_KEYS))
    headers, _ = await sign_in(http, url, key=ADMIN)
    async with http.post(
        f"{url}/console/api/router/admin/keys", json={"name": "evil"}, headers={**headers, **more}
    ) as response:
        assert response.status == 403
    async with http.get(f"{url}/console/api/router/admin/keys", headers=headers) as response:
        assert (await response.json())["data"] == []


async def test_a_cookie_or_a_header_of_a_client_is_nobodys_authority_elsewhere(
    start_node: StartNode, http: aiohttp.ClientSession
) -> None:
    url = url_of(await start_node(WITH_KEYS))
    headers, _ = await sign_in(http, url, key=ADMIN)
    async with http.get(f"{url}/admin/keys", headers=headers) as response:
        assert response.status == 401
    planted = {
        "cookie": "intellirouter_console=planted-by-somebody"
    }  # fixation: it is nobody's after the sign-in either
    async with http.post(
        f"{url}/console/api/session", json={"key": READER}, headers={**OWN, **planted}
    ) as response:
        assert response.status == 201
        assert response.cookies["intellirouter_console"].value != "planted-by-somebody"
    async with http.get(f"{url}/console/api/router/v1/models", headers=planted) as response:
        assert response.status == 401
    reader, _ = await sign_in(http, url, key=READER)
    async with http.get(
        f"{url}/console/api/router/admin/keys", headers={**reader, "authorization": f"Bearer {ADMIN}"}
    ) as response:
        assert response.status == 403


async def test_a_stream_passes_the_gateway_as_it_is(
    start_node: StartNode, http: aiohttp.ClientSession
) -> None:
    url = url_of(await start_node())
    body = {
        "model": "auto",
        "stream": True,
        "messages": [{"role": "user", "content": "Grass is green. What is green?"}],
    }
    async with http.post(f"{url}/console/api/router/v1/chat/completions", json=body, headers=OWN) as response:
        assert response.status == 200
        assert response.content_type == "text/event-stream"
        assert (await response.text()).endswith("data: [DONE]\n\n")


async def test_roles_of_another_node_are_asked_in_the_name_of_whoever_is_signed_in(
    start_node: StartNode, http: aiohttp.ClientSession
) -> None:
    trust = '[ipc.security]\nenabled = true\ntoken = "a-token-of-the-two-nodes-only"\n'
    personas = await start_node(trust, role="PersonaLayer")
    front = await start_node(
        f'{WITH_KEYS}[ipc]\npersona_layer_endpoint = "{url_of(personas, "PersonaLayer")}"\n{trust}'
    )
    url = url_of(front)
    reader, told = await sign_in(http, url, key=READER)
    assert told["roles"] == {"router": "local", "personas": "remote"}
    async with http.get(f"{url}/console/api/personas/v1/personas", headers=reader) as response:
        assert response.status == 200
        assert (await response.json())["object"] == "list"
    async with http.put(
        f"{url}/console/api/personas/v1/personas/mine",
        json={"source": 'name = "mine"\nprompt = "x"'},
        headers=reader,
    ) as response:
        assert response.status == 403


async def test_a_console_that_is_switched_off_is_not_there(
    start_node: StartNode, http: aiohttp.ClientSession
) -> None:
    url = url_of(await start_node("[console]\nenabled = false\n"))
    for path in ("/console", "/console/api/session", "/console/api/router/v1/models"):
        async with http.get(url + path) as response:
            assert response.status == 404
