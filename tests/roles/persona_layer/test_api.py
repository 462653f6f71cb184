"""The PersonaLayer over HTTP and from the command line."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import aiohttp

from tests.conftest import StartNode
from tests.servers.process import command


async def test_a_persona_is_made_rendered_changed_rolled_back_and_removed(
    start_node: StartNode, http: aiohttp.ClientSession
) -> None:
    digest = hashlib.sha256(b"key").hexdigest()
    node = await start_node(
        f'[auth]\nenabled = true\n[[auth.keys]]\nname = "ann"\nsha256 = "{digest}"\nscopes = ["inference", "personas"]\n',
        role="PersonaLayer",
    )
    url = f"{node.listening[0].url}/v1/personas"
    http.headers["authorization"] = "Bearer key"
    source = 'prompt = "Hello {{ who }}."\ntags = ["mine"]\n[variables.who]\nrequired = true\n'
    async with http.put(f"{url}/greeter", json={"source": source}) as reply:
        assert (reply.status, (await reply.json())["version"]) == (201, 1)
    async with http.get(url, params={"tag": "mine"}) as reply:
        assert [each["id"] for each in (await reply.json())["data"]] == ["greeter"]
    async with http.post(f"{url}/greeter/render", json={"variables": {"who": "world"}}) as reply:
        assert (await reply.json())["messages"] == [{"role": "system", "content": "Hello world."}]
    async with http.post(f"{url}/greeter/render", json={}) as reply:
        assert (await reply.json())["error"]["param"] == "persona_variables.who"
    async with http.put(f"{url}/greeter", json={"source": 'prompt = "Bye."', "version": 1}) as reply:
        assert (await reply.json())["version"] == 2
    async with http.put(f"{url}/greeter", json={"source": "x = ", "version": 2}) as reply:
        assert (reply.status, (await reply.json())["error"]["code"]) == (400, "invalid_persona")
    async with http.post(f"{url}/greeter/rollback", json={"version": 1}) as reply:
        assert (await reply.json())["version"] == 3
    async with http.get(f"{url}/greeter/versions") as reply:
        assert [each["author"] for each in (await reply.json())["data"]] == ["ann"] * 3
    async with http.delete(f"{url}/greeter") as reply:
        assert (await reply.json())["deleted"] is True
    async with http.get(f"{url}/greeter") as reply:
        assert reply.status == 404


async def test_without_the_scope_nothing_changes(start_node: StartNode, http: aiohttp.ClientSession) -> None:
    digest = hashlib.sha256(b"reader").hexdigest()
    node = await start_node(
        f'[auth]\nenabled = true\n[[auth.keys]]\nname = "reader"\nsha256 = "{digest}"\n', role="PersonaLayer"
    )
    url = f"{node.listening[0].url}/v1/personas/p"
    reader = {"authorization": "Bearer reader"}
    async with http.put(url, json={"source": 'prompt = "x"'}, headers=reader) as reply:
        assert reply.status == 403
    async with http.get(f"{node.listening[0].url}/health") as reply:
        assert (await reply.json())["parts"]["files"]["status"] == "healthy"


async def test_where_keys_are_off_everybody_writes_personas(
    start_node: StartNode, http: aiohttp.ClientSession
) -> None:
    node = await start_node(role="PersonaLayer")
    async with http.put(f"{node.listening[0].url}/v1/personas/p", json={"source": 'prompt = "x"'}) as reply:
        assert reply.status == 201


async def test_the_command_line_lists_shows_renders_and_imports(tmp_path: Path) -> None:
    environment = {"INTELLIROUTER__PATHS__DATA_DIR": str(tmp_path)}
    file = tmp_path / "greeter.md"
    file.write_text("Hello.")
    code, out, errors = await command("persona", "import", str(file), environment=environment)
    assert code == 0, errors
    code, out, _ = await command("persona", "list", "--json", environment=environment)
    assert {each["id"] for each in json.loads(out)} >= {"greeter", "analyst"}
    code, out, _ = await command("persona", "render", "greeter", environment=environment)
    assert "Hello." in out
    code, out, errors = await command(
        "persona", "render", "support", "--var", "company=Acme", "--json", environment=environment
    )
    assert "Acme" in json.loads(out)["messages"][0]["content"]
    code, _, errors = await command("persona", "render", "support", environment=environment)
    assert (code, "persona_variables.company" in errors) == (2, True)
    code, out, _ = await command("persona", "show", "greeter", environment=environment)
    assert "Hello." in out
    code, _, errors = await command("persona", "show", "nobody", environment=environment)
    assert (code, "no persona 'nobody'" in errors) == (2, True)
