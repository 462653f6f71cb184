"""Secrets planted in every place a node reads them from, and looked for in everything it says."""

from __future__ import annotations

import hashlib
import json
import signal
from pathlib import Path

import aiohttp

from tests.conftest import StartVendor
from tests.roles.router.test_chat import STREAM
from tests.servers.process import node_process
from tests.servers.vendor import Play, Received

PLANTED = {
    "provider_key": "planted-provider-key-0a1b2c3d",
    "second_key": "planted-second-key-1b2c3d4e",
    "header": "planted-header-2c3d4e5f",
    "endpoint": "planted-endpoint-3d4e5f60",
    "redis": "planted-redis-4e5f6071",
    "ipc": "planted-ipc-token-5f607182-that-is-long-enough",
    "environment": "planted-environment-60718293",
    "client": "planted-client-key-718293a4",
    "admin": "planted-admin-key-8293a4b5",
    "unknown": "planted-unknown-key-93a4b5c6",
    "audit": "planted-audit-key-a4b5c6d7",
    "master": "a1b2c3d4e5f60718" * 4,
    "file": "planted-file-secret-b5c6d7e8",
    "runtime": "planted-runtime-key-c6d7e8f9",
    "vault": "planted-vault-token-d7e8f90a",
}


def leaky(received: Received) -> Play:
    """A vendor that repeats what it was sent, as some do, and refuses."""
    said = f"Incorrect API key: {received.headers.get('authorization')} {received.headers.get('x-house')}"
    return Play.json({"error": {"message": said, "type": "invalid_request_error"}}, 401, **{"x-echo": said})


def refusing(received: Received) -> Play:
    """The same as an error of the request itself, which callers are shown."""
    said = f"Bad value, sent with {received.headers.get('authorization')}"
    return Play.json({"error": {"message": said, "type": "invalid_request_error", "param": "model"}}, 400)


def midway(received: Received) -> Play:
    """The same in the middle of a stream."""
    error = {
        "error": {"message": f"Overloaded, {received.headers.get('authorization')}", "type": "server_error"}
    }
    return Play.sse(STREAM[0], STREAM[1], json.dumps(error).encode())


def config(tmp_path: Path, urls: dict[str, str]) -> Path:
    def key(name: str, *scopes: str) -> str:
        digest = hashlib.sha256(PLANTED[name].encode()).hexdigest()
        return f'[[auth.keys]]\nname = "{name}"\nsha256 = "{digest}"\nscopes = {list(scopes)}\n'

    providers = "".join(
        f'[[model_registry.providers]]\nname = "{name}"\nkind = "openai_compatible"\nendpoint = "{url}"\nmodels = ["m"]\n'
        f'api_key = "{PLANTED["provider_key"]}"\napi_keys = ["{PLANTED["second_key"]}"]\n'
        f'headers = {{ x-house = "{PLANTED["header"]}" }}\n'
        for name, url in urls.items()
    )
    file = tmp_path / "node.toml"
    file.write_text(
        f'[paths]\ndata_dir = "{tmp_path / "data"}"\n[server]\nport = 0\n[telemetry]\nlog_level = "debug"\n'
        f'[memory]\nbackend_type = "redis"\nredis_url = "redis://me:{PLANTED["redis"]}@127.0.0.1:1"\n'
        f'[auth.audit]\nlevel = "full"\nkey = "{PLANTED["audit"]}"\n[security]\nkey = "{PLANTED["master"]}"\n'
        f'[secrets.vault]\naddress = "http://127.0.0.1:1"\ntoken = "{PLANTED["vault"]}"\n'
        f'[ipc.security]\nenabled = true\ntoken = "{PLANTED["ipc"]}"\n[auth]\nenabled = true\n'
        + key("client", "inference")
        + key("admin", "admin")
        + providers
    )
    return file


async def test_what_a_node_says_holds_no_secret(
    tmp_path: Path, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    urls = {
        "leaky": f"{(await start_vendor(leaky)).url}/v1",
        "refusing": f"{(await start_vendor(refusing)).url}/v1",
        "midway": f"{(await start_vendor(midway)).url}/v1",
        "gone": f"http://me:{PLANTED['endpoint']}@127.0.0.1:1/v1",
        "cut": f"{(await start_vendor(Play(before='reset'))).url}/v1",
        "nonsense": f"{(await start_vendor(Play([b'<html>no JSON</html>']))).url}/v1",
    }
    said: list[str] = []
    (tmp_path / "secret").write_text(PLANTED["file"])
    environment = {"OPENAI_API_KEY": PLANTED["environment"], "MISTRAL_API_KEY": PLANTED["environment"]}
    file = config(tmp_path, urls)
    async with node_process("--role", "Router", "--config", str(file), environment=environment) as node:
        url = await node.url()

        async def ask(method: str, path: str, key: str | None, **more: object) -> str:
            headers = {"authorization": f"Bearer {PLANTED[key]}"} if key else {}
            async with http.request(method, f"{url}{path}", headers=headers, **more) as reply:  # type: ignore[arg-type]
                text = await reply.text()
            said.append(f"{reply.status} {dict(reply.headers)} {text}")
            return text

        for name in urls:
            for stream in (False, True):
                body = {
                    "model": f"{name}/m",
                    "messages": [{"role": "user", "content": "Hi"}],
                    "stream": stream,
                }
                await ask("POST", "/v1/chat/completions", "client", json=body)
            answer = await ask("POST", "/v1/embeddings", "client", json={"model": f"{name}/m", "input": "a"})
            assert "error" in answer
        await ask("POST", "/v1/chat/completions", "unknown", json={"model": "leaky/m", "messages": []})
        await ask("POST", f"/v1beta/models/m:generateContent?key={PLANTED['unknown']}", None, json={})
        await ask("POST", "/v1/chat/completions", "client", data=b"{ no JSON")
        for path in (
            "/health",
            "/health/ready",
            "/metrics",
            "/admin/models",
            "/admin/keys",
            "/v1/models",
            "/nowhere",
        ):
            await ask("GET", path, "admin")
        made = json.loads(await ask("POST", "/admin/keys", "admin", json={"name": "new"}))
        shown_once, said[-1] = made.get("key", "absent"), ""
        await ask("GET", "/admin/keys", "admin")
        added = {"name": "added", "kind": "openai_compatible", "endpoint": urls["leaky"], "models": ["m"]}
        for key in (
            PLANTED["runtime"],
            {"file": str(tmp_path / "secret")},
            {"exec": ["false", PLANTED["runtime"]]},
        ):
            body = {"settings": {"model_registry": {"providers": [{**added, "api_key": key}]}}}
            await ask("PUT", "/admin/settings", "admin", json=body)
            await ask("POST", "/v1/chat/completions", "client", json={"model": "added/m", "messages": []})
        for path in (
            "/admin/settings",
            "/admin/settings/history",
            "/admin/audit?limit=1000",
            "/admin/config",
            "/health",
        ):
            await ask("GET", path, "admin")
        node.signal(signal.SIGTERM)  # the access log is written to its end
        assert await node.wait() == 0
    for journal in (tmp_path / "data" / "audit").glob("*.jsonl"):
        said.append(journal.read_text())
    said += [json.dumps(line) for line in node.lines]
    assert sum(line.get("event") == "request" for line in node.lines) > 20  # there was something to look at
    everything = "\n".join(said)
    for name, secret in {**PLANTED, "shown once": shown_once}.items():
        place = everything.find(secret)
        assert place < 0, f"{name}: …{everything[max(0, place - 200) : place + 80]}…"
