"""Secrets planted in every place a node reads them from, and looked for in everything it says."""

from __future__ import annotations

import asyncio
import hashlib
import json
import signal
import tarfile
from pathlib import Path

import aiohttp
from typer.testing import CliRunner

from intellirouter.cli.main import build
from tests.conftest import StartVendor
from tests.roles.router.test_chat import STREAM
from tests.security.test_permissions import routes
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
    "aws": "planted-aws-secret-e8f90a1b",
    "oidc": "planted-client-secret-f90a1b2c",
    "login": "planted-login-secret-0a1b2c3d-that-is-long-enough",
    "alert address": "planted-alert-address-1b2c3d4f",
    "alert secret": "planted-alert-secret-2c3d4e60",
    "apprise": "planted-apprise-3d4e5f61",
    "sftp": "planted-sftp-4e5f6072",
    "guard": "planted-guard-secret-5f607183",
    "hook": "planted-hook-secret-60718294",
    "chain": "planted-chain-secret-718293a5",
    "tool": "planted-tool-header-8293a4b6",
    "rerank": "planted-rerank-key-93a4b5c7",
    "collector": "planted-otlp-header-a4b5c6d8",
    "redis password": "planted-redis-password-b5c6d7e9",
}


CHAIN = """chain: {{name: telling}}
steps:
  - id: sent
    http: {{url: "{}/chat/completions", method: POST, secret: crm, body: {{}}}}
  - id: looked
    tool: {{name: look}}
output: {{text: steps.sent}}
"""
LOOKED_AT = sorted(
    {(role, path) for role, method, path, _, _ in routes() if method == "GET" and "{" not in path}
    - {("Router", "/admin/requests/stream")}
)
"""Everything that says something without being told of what."""


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
    more = f"""[secrets.aws]
region = "eu-central-1"
access_key_id = "me"
secret_access_key = "{PLANTED["aws"]}"
[auth.login]
secret = "{PLANTED["login"]}"
[[auth.oidc]]
name = "corp"
issuer = "http://127.0.0.1:1"
client_id = "node"
client_secret = "{PLANTED["oidc"]}"
[[alerts.channels]]
name = "hook"
kind = "webhook"
url = "http://127.0.0.1:1/services/{PLANTED["alert address"]}"
secret = "{PLANTED["alert secret"]}"
[[alerts.channels]]
name = "apprise"
kind = "apprise"
url = "json://me:{PLANTED["apprise"]}@127.0.0.1:1/"
[backup]
to = "sftp://me:{PLANTED["sftp"]}@127.0.0.1:1/backups"
[[guards]]
name = "asks"
kind = "webhook"
url = "http://127.0.0.1:1/"
secret = "{PLANTED["guard"]}"
on_error = "open"
timeout = 0.2
[chain_engine.hooks.judge]
kind = "evaluate"
url = "http://127.0.0.1:1/"
secret = "{PLANTED["hook"]}"
[chain_engine.secrets.crm]
value = "{PLANTED["chain"]}"
hosts = ["127.0.0.1"]
[chain_engine.tools.look]
url = "{urls["leaky"]}"
headers = {{ x-house = "{PLANTED["tool"]}" }}
[rag]
rerank_url = "http://127.0.0.1:1/rerank"
rerank_api_key = "{PLANTED["rerank"]}"
[outgoing]
allow = ["127.0.0.1"]
"""
    file.write_text(
        f'[paths]\ndata_dir = "{tmp_path / "data"}"\n[server]\nport = 0\n[telemetry]\nlog_level = "debug"\n'
        f'otlp_endpoint = "http://127.0.0.1:1"\notlp_metrics = true\n'
        f'otlp_headers = {{ authorization = "{PLANTED["collector"]}" }}\n'
        f'[memory]\nbackend_type = "redis"\nredis_url = "redis://me:{PLANTED["redis"]}@127.0.0.1:1"\n'
        f'redis_password = "{PLANTED["redis password"]}"\n'
        f'[auth.audit]\nlevel = "full"\nkey = "{PLANTED["audit"]}"\n[security]\nkey = "{PLANTED["master"]}"\n'
        f'[secrets.vault]\naddress = "http://127.0.0.1:1"\ntoken = "{PLANTED["vault"]}"\n'
        f'[ipc.security]\nenabled = true\ntoken = "{PLANTED["ipc"]}"\n{more}[auth]\nenabled = true\n'
        + key("client", "inference", "chains")
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
    async with node_process("--role", "All", "--config", str(file), environment=environment) as node:
        await node.event("server.listening", count=4)
        at = {
            line["role"]: f"http://127.0.0.1:{line['port']}"
            for line in node.lines
            if line.get("event") == "server.listening"
        }

        async def ask(method: str, path: str, key: str | None, role: str = "Router", **more: object) -> str:
            headers = {"authorization": f"Bearer {PLANTED[key]}"} if key else {}
            async with http.request(method, f"{at[role]}{path}", headers=headers, **more) as reply:  # type: ignore[arg-type]
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
        await ask("POST", "/admin/alerts/test", "admin", json={})
        await ask("POST", "/admin/guards/test", "admin", json={"text": "Hi"})
        for way in ("start", "device"):
            await ask("GET" if way == "start" else "POST", f"/auth/oidc/corp/{way}", None)
        await ask("POST", "/console/api/session", None, json={"key": PLANTED["unknown"]})
        chain = {"source": CHAIN.format(urls["leaky"])}
        assert "error" not in await ask("PUT", "/v1/chains/telling", "client", "ChainEngine", json=chain)
        body = {"input": {}, "mode": "wait"}
        run = await ask("POST", "/v1/chains/telling/runs", "client", "ChainEngine", json=body)
        assert json.loads(run)["status"] == "failed", run
        for role, path in LOOKED_AT:
            await ask("GET", path, "admin", role)
        node.signal(signal.SIGTERM)  # the access log is written to its end
        assert await node.wait() == 0
    for words in (
        ("diagnose", "--json", "--timeout", "1", "--bundle", str(tmp_path / "bundle.tar.gz")),
        ("backup", "now"),
        ("backup", "--to", str(tmp_path / "archives")),
        ("validate-config",),
    ):
        result = await asyncio.to_thread(CliRunner().invoke, build(words[0]), [*words, "--config", str(file)])
        said.append(f"{result.output} {result.exception}")
    with tarfile.open(tmp_path / "bundle.tar.gz") as bundle:
        held = [bundle.extractfile(member) for member in bundle if member.isfile()]
        said += [one.read().decode(errors="replace") for one in held if one is not None]
    assert "node.toml" in said[-1] or len(held) > 3
    kept = [one for folder in ("data", "archives") for one in (tmp_path / folder).rglob("*") if one.is_file()]
    assert any(one.suffix == ".jsonl" for one in kept)
    said += [one.read_bytes().decode("latin-1") for one in kept]
    said += [json.dumps(line) for line in node.lines]
    assert sum(line.get("event") == "request" for line in node.lines) > 20  # there was something to look at
    everything = "\n".join(said)
    for name, secret in {**PLANTED, "shown once": shown_once}.items():
        place = everything.find(secret)
        assert place < 0, f"{name}: …{everything[max(0, place - 200) : place + 80]}…"
