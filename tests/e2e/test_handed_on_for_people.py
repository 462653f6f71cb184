"""What the console hands on to a role elsewhere is somebody's own request, and no errand of the Router's."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from intellirouter.peers.edges import FORMAT, Batch
from tests.servers.installation import Form, configured_key, installed

SECRET = "the merger price is 41 million"
TOML = """
[chain_engine.edges.plant]
token = "an-edge-token-of-these-tests-0123456789"
tenants = ["acme"]
[auth]
enabled = true
"""


@pytest.mark.parametrize("form", ["http", "grpc"])
async def test_nobody_gets_more_by_way_of_the_console(form: Form, tmp_path: Path) -> None:
    keys = configured_key("author", scopes="inference personas") + configured_key("plant")
    async with installed(form, tmp_path, TOML + keys) as place:
        persona = {"source": f'prompt = "You know that {SECRET}."\n'}
        status, said = await place.ask("PersonaLayer", "author", "PUT", "/v1/personas/hr", persona)
        assert status == 201, said
        api, batch = f"{place.urls['Router']}/console/api", msgspec.to_builtins(Batch(FORMAT))
        for key, may in (("author", True), ("plant", False)):  # which is an edge's name
            visitor = {"x-console-token": "visitor"}
            async with place.http.post(f"{api}/session", json={"key": key}, headers=visitor) as reply:
                cookie = f"intellirouter_console={reply.cookies['intellirouter_console'].value}"
                headers = {"cookie": cookie, "x-console-token": (await reply.json())["token"]}
            told: dict[str, tuple[int, str]] = {}
            for method, path, body in (
                ("GET", "personas/v1/personas/hr", None),
                ("POST", "personas/v1/personas/hr/render", {}),
                ("POST", "chains/ipc/v1/edge", batch),
            ):
                async with place.http.request(method, f"{api}/{path}", json=body, headers=headers) as reply:
                    told[path] = reply.status, await reply.text()
            assert told["personas/v1/personas/hr"][0] == 200
            assert told["personas/v1/personas/hr/render"][0] == (200 if may else 403), told
            assert all((SECRET in said) is may for path, (_, said) in told.items() if "hr" in path), told
            assert told["chains/ipc/v1/edge"][0] == 403, told
