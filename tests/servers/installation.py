"""The same installation in three forms: every role in one process, or four nodes that speak HTTP or gRPC to one another."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import aiohttp

from intellirouter.app.node import Node
from intellirouter.app.roles import select
from intellirouter.app.supervisor import running
from intellirouter.config.load import load
from tests.servers.ports import free_port

Form = Literal["one", "http", "grpc"]
TOKEN = "a-token-of-these-tests-and-no-others-1"
ROLES = ("PersonaLayer", "RagManager", "Router", "ChainEngine")
ENDPOINTS = {
    "PersonaLayer": "persona_layer_endpoint",
    "RagManager": "rag_manager_endpoint",
    "Router": "router_endpoint",
    "ChainEngine": "chain_engine_endpoint",
}
ADMIN = "sk-of-the-admin"


def configured_key(name: str, *, tenant: str = "default", scopes: str = "inference", more: str = "") -> str:
    """One of `[[auth.keys]]`, whose secret is its name."""
    listed = ", ".join(f'"{scope}"' for scope in scopes.split())
    digest = hashlib.sha256(name.encode()).hexdigest()
    head = f'[[auth.keys]]\nname = "{name}"\nsha256 = "{digest}"\ntenant = "{tenant}"\nscopes = [{listed}]\n'
    return head + more + "\n"


@dataclass(slots=True)
class Installation:
    """`ask` makes a request of a role with a key; the answer is its status and document."""

    http: aiohttp.ClientSession
    urls: dict[str, str] = field(default_factory=dict)
    nodes: dict[str, Node] = field(default_factory=dict)

    async def ask(
        self, role: str, key: str, method: str, path: str, body: Any = None, **more: Any
    ) -> tuple[int, Any]:
        headers = {"authorization": f"Bearer {key}", **more.pop("headers", {})}
        if isinstance(body, bytes):
            more["data"] = body
        elif body is not None:
            more["json"] = body
        async with self.http.request(method, self.urls[role] + path, headers=headers, **more) as reply:
            if "json" in reply.content_type:
                return reply.status, await reply.json()
            return reply.status, await reply.text()

    async def chat(self, key: str, model: str, **more: Any) -> tuple[int, Any]:
        body = {"model": model, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 8, **more}
        return await self.ask("Router", key, "POST", "/v1/chat/completions", body)

    async def run(self, key: str, chain: str, **inputs: Any) -> Any:
        """A run, at its end."""
        body = {"input": inputs, "mode": "wait"}
        _, run = await self.ask("ChainEngine", key, "POST", f"/v1/chains/{chain}/runs", body)
        return run

    async def put_chain(self, key: str, name: str, source: str) -> None:
        status, said = await self.ask("ChainEngine", key, "PUT", f"/v1/chains/{name}", {"source": source})
        assert status in (200, 201), said

    async def ingest(self, key: str, collection: str, name: str, text: str) -> Any:
        """Put a document into a collection of the key's tenant; its job, once it is over."""
        await self.ask("RagManager", key, "POST", "/rag/v1/collections", {"name": collection})
        path = f"/rag/v1/collections/{collection}/documents?name={name}"
        status, made = await self.ask("RagManager", key, "POST", path, text.encode())
        assert status == 202, made
        async with asyncio.timeout(60):
            while True:
                _, job = await self.ask("RagManager", key, "GET", f"/rag/v1/jobs/{made['job']}")
                if job["status"] not in ("queued", "running"):
                    return job
                await asyncio.sleep(0.05)

    async def retrieve(self, key: str, collection: str, query: str) -> tuple[int, Any]:
        body = {"query": query, "collections": [collection]}
        return await self.ask("RagManager", key, "POST", "/rag/v1/retrieve", body)

    async def make_key(self, name: str, **fields: Any) -> str:
        """A key made at run time, known to every node; its secret."""
        status, made = await self.ask("Router", ADMIN, "POST", "/admin/keys", {"name": name, **fields})
        while status == 503:  # a busy machine takes Redis for away for a moment
            await asyncio.sleep(0.5)
            await self.ask("Router", ADMIN, "DELETE", f"/admin/keys/{name}")
            status, made = await self.ask("Router", ADMIN, "POST", "/admin/keys", {"name": name, **fields})
        assert status == 201, made
        secret = str(made["secret"])
        for role in self.urls:  # others hear of it within moments
            await self.until(role, secret, known=True)
        return secret

    async def until(self, role: str, secret: str, *, known: bool) -> None:
        """Return once the role takes the key, or takes it no more."""
        path = {"Router": "/v1/models", "ChainEngine": "/v1/chains", "RagManager": "/rag/v1/collections"}
        async with asyncio.timeout(60):
            while True:
                status, _ = await self.ask(role, secret, "GET", path.get(role, "/v1/personas"))
                if (status != 401) is known:
                    return
                await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def installed(form: Form, directory: Path, toml: str) -> AsyncIterator[Installation]:
    """Start it. `toml` is everybody's; it has `[auth]`, without keys at its end, and no `[ipc]` and no `[server]`."""
    await asyncio.to_thread(directory.mkdir, parents=True, exist_ok=True)
    toml += "\n" + configured_key("the-admin", scopes="admin").replace(
        hashlib.sha256(b"the-admin").hexdigest(), hashlib.sha256(ADMIN.encode()).hexdigest()
    )
    roles = ("All",) if form == "one" else ROLES
    ports = {role: free_port() for role in ROLES}
    peers = {role: free_port() for role in ROLES} if form == "grpc" else ports
    async with contextlib.AsyncExitStack() as stack:
        timeout = aiohttp.ClientTimeout(total=60)
        made = Installation(await stack.enter_async_context(aiohttp.ClientSession(timeout=timeout)))
        for role in roles:
            file = directory / f"{role}.toml"
            flags: dict[tuple[str, ...], Any] = {("paths", "data_dir"): directory / f"data-{role}"}
            if form == "one":
                flags["server", "port"] = 0
                file.write_text(toml)
            else:
                others = [one for one in ROLES if one != role]
                lines = [f'{ENDPOINTS[one]} = "http://127.0.0.1:{peers[one]}"' for one in others]
                trust = f'[ipc.security]\nenabled = true\ntoken = "{TOKEN}"\n'
                file.write_text(toml + f'[ipc]\nprotocol = "{form}"\n' + "\n".join(lines) + "\n" + trust)
                flags["server", "port"] = ports[role]
                if form == "grpc":
                    flags["server", "grpc_port"] = peers[role]
            node = await stack.enter_async_context(running(load(file, {}, flags), select(role)))
            for each in node.listening:
                made.urls[each.role], made.nodes[each.role] = each.url, node
        yield made
