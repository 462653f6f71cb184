"""The deployment guide's nodes: a process each, from the guide's own files, tied together by Redis and signed calls."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import ssl
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.conftest import StartNode, StartVendor, provider
from tests.roles.router.test_chat import ANSWER, BODY
from tests.roles.router.test_pipeline import PERSONA
from tests.servers.certificates import Authority
from tests.servers.minilm import minilm
from tests.servers.ports import free_port
from tests.servers.process import NodeProcess, node_process
from tests.servers.redis import redis_server
from tests.servers.vendor import Play, Vendor

PAGE = b"Coal is black and burns well. It was formed from plants."
TOKEN = "f3c1a9d07b52e8641f0c"


async def ingest(http: aiohttp.ClientSession, url: str, headers: dict[str, str]) -> None:
    """Put one page into the collection `kb`, and wait until it can be found."""
    rag = f"{url}/rag/v1"
    async with http.post(f"{rag}/collections", json={"name": "kb"}, headers=headers) as reply:
        assert reply.status < 300, await reply.text()
    documents = f"{rag}/collections/kb/documents"
    async with http.post(documents, params={"name": "coal.txt"}, data=PAGE, headers=headers) as reply:
        job = (await reply.json())["job"]
    async with asyncio.timeout(60):
        while True:
            async with http.get(f"{rag}/jobs/{job}", headers=headers) as reply:
                if (await reply.json())["status"] == "ready":
                    return
            await asyncio.sleep(0.05)


FILES = {
    "Router": "router.toml",
    "ChainEngine": "orchestrator.toml",
    "RagManager": "rag-manager.toml",
    "PersonaLayer": "persona-layer.toml",
}
KEYS = (
    '[{name = "ann", scopes = ["chains", "inference"], sha256 = "'
    + hashlib.sha256(b"ann").hexdigest()
    + '"}]'
)
CHAIN = """
chain: {name: shout}
input: {question: {type: string}}
steps:
  - {id: said, llm: {model: primary/m, prompt: "{{ input.question }}"}}
output: {answer: steps.said.text}
"""
CHAIN_ASKED = {**BODY, "model": "chain/shout"}


def asked(vendor: Vendor) -> Any:
    return vendor.received[-1].json["messages"]


WHOLE = {
    **BODY,
    "messages": [{"role": "user", "content": "What is black?"}],
    "persona": "clerk",
    "persona_variables": {"company": "Acme"},
    "conversation": "c1",
    "rag": {"collections": ["kb"], "top_k": 1},
}


class Deployment:
    """The guide's nodes as processes. Each has a port of its own, which it keeps when it is started again."""

    def __init__(
        self, stack: contextlib.AsyncExitStack, directory: Path, common: dict[str, str], protocol: str
    ) -> None:
        self.ports = {role: free_port() for role in FILES}
        self._protocol = protocol
        self._peer_ports = self.ports if protocol == "http" else {role: free_port() for role in FILES}
        self.scheme = "http"
        self._stack = stack
        self._directory = directory
        self._common = common
        self._own: dict[str, dict[str, str]] = {role: {} for role in FILES}
        self._running: dict[str, NodeProcess] = {}

    def url(self, role: str) -> str:
        return f"{self.scheme}://127.0.0.1:{self.ports[role]}"

    def peer_url(self, role: str) -> str:
        """Where the other roles find it."""
        return f"{self.scheme}://127.0.0.1:{self._peer_ports[role]}"

    def certified(self, authority: Authority) -> None:
        """Every node with a certificate of its role."""
        self.scheme = "https"
        for role, own in self._own.items():
            certificate, key = authority.issue(role)
            own["INTELLIROUTER__IPC__SECURITY__CA"] = str(authority.file)
            own["INTELLIROUTER__IPC__SECURITY__CERTIFICATE"] = str(certificate)
            own["INTELLIROUTER__IPC__SECURITY__KEY"] = str(key)

    async def start(self, role: str, **more: str) -> None:
        """Start a role, as before when it ran before."""
        self._own[role] |= more
        environment = {
            **self._common,
            **self._own[role],
            "INTELLIROUTER__SERVER__PORT": str(self.ports[role]),
            "INTELLIROUTER__PATHS__DATA_DIR": str(self._directory / f"data-{role}"),
            "INTELLIROUTER__IPC__ROUTER_ENDPOINT": self.peer_url("Router"),
            "INTELLIROUTER__IPC__PROTOCOL": self._protocol,
        }
        if self._protocol == "grpc":
            environment["INTELLIROUTER__SERVER__GRPC_PORT"] = str(self._peer_ports[role])
        node = node_process("--role", role, "--config", f"config/{FILES[role]}", environment=environment)
        self._running[role] = await self._stack.enter_async_context(node)
        await self._running[role].event("server.listening")

    async def kill(self, role: str) -> None:
        node = self._running[role]
        node.process.kill()
        await node.wait()


@pytest.mark.parametrize("protocol", ["http", "grpc"])
@pytest.mark.parametrize("trust", ["token", "certificates"])
async def test_nodes_of_their_own_answer_as_one_process_does_and_each_ones_absence_is_its_own(
    start_node: StartNode,
    start_vendor: StartVendor,
    http: aiohttp.ClientSession,
    tmp_path: Path,
    trust: str,
    protocol: str,
) -> None:
    vendor = await start_vendor(Play.json(ANSWER))
    personas = tmp_path / "personas"
    personas.mkdir()
    (personas / "clerk.toml").write_text(PERSONA)
    expected = await as_one_process(start_node, http, vendor, personas)
    async with contextlib.AsyncExitStack() as stack:
        redis = stack.enter_context(redis_server(tmp_path / "redis"))
        common = {
            "INTELLIROUTER__SERVER__HOST": "127.0.0.1",
            "INTELLIROUTER__MEMORY__REDIS_URL": redis.url,
            "INTELLIROUTER__IPC__SECURITY__TOKEN": TOKEN,
        }
        nodes = Deployment(stack, tmp_path, common, protocol)
        if trust == "certificates":
            authority = Authority(tmp_path / "ca")
            nodes.certified(authority)
            context = ssl.create_default_context(cafile=authority.file)
            connector = aiohttp.TCPConnector(ssl=context)
            http = await stack.enter_async_context(aiohttp.ClientSession(connector=connector))
        await nodes.start("PersonaLayer", INTELLIROUTER__PERSONA_LAYER__PERSONAS_PATH=str(personas))
        model = str(minilm())
        keys = {"INTELLIROUTER__AUTH__ENABLED": "true", "INTELLIROUTER__AUTH__KEYS": KEYS}
        await nodes.start(
            "RagManager",
            INTELLIROUTER__RAG__VECTOR_DB_URL="",
            INTELLIROUTER__RAG__EMBEDDING_MODEL_PATH=model,
            **keys,
        )
        await nodes.start("ChainEngine", **keys)
        providers = f'[{{name = "primary", kind = "openai_compatible", endpoint = "{vendor.url}/v1", models = ["m"]}}]'
        await nodes.start(
            "Router",
            INTELLIROUTER__IPC__PERSONA_LAYER_ENDPOINT=nodes.peer_url("PersonaLayer"),
            INTELLIROUTER__IPC__RAG_MANAGER_ENDPOINT=nodes.peer_url("RagManager"),
            INTELLIROUTER__IPC__CHAIN_ENGINE_ENDPOINT=nodes.peer_url("ChainEngine"),
            INTELLIROUTER__MODEL_REGISTRY__PROVIDERS=providers,
        )
        chat = f"{nodes.url('Router')}/v1/chat/completions"

        async def ask(body: dict[str, Any]) -> tuple[int, str, str]:
            async with http.post(chat, json=body) as reply:
                answer = await reply.json()
                code = answer["error"]["code"] if reply.status >= 400 else ""
                return reply.status, code, reply.headers.get("x-intellirouter-rag", "")

        await fill(http, nodes)
        for _ in range(2):
            assert (await ask(WHOLE))[0] == 200
        assert asked(vendor) == expected
        assert (await ask(CHAIN_ASKED))[0] == 200
        async with http.get(f"{nodes.url('PersonaLayer')}/v1/personas") as reply:
            assert reply.status == 401  # behind the front, only calls of other roles

        skipping = {**WHOLE, "rag": {**WHOLE["rag"], "on_error": "skip"}}
        away = (503, "peer_unavailable", "")
        for role, failing in (
            ("RagManager", WHOLE),
            ("PersonaLayer", {**BODY, "persona": "clerk"}),
            ("ChainEngine", CHAIN_ASKED),
        ):
            assert (await ask(failing))[0] == 200
            await nodes.kill(role)
            assert (await ask(failing))[:2] == away[:2]
            assert (await ask(BODY))[0] == 200  # what does not need it goes on
            if role == "RagManager":
                status, _, said = await ask(skipping)
                assert (status, said.partition(":")[0]) == (200, "skipped")
            await nodes.start(role)
            async with asyncio.timeout(60):  # and back
                while True:
                    if (await ask(failing))[0] == 200:
                        break
                    await asyncio.sleep(0.1)


async def fill(http: aiohttp.ClientSession, nodes: Deployment) -> None:
    """A page for the RagManager and a chain for the ChainEngine, from a client that has a key there."""
    await ingest(http, nodes.url("RagManager"), {"authorization": "Bearer ann"})
    url = f"{nodes.url('ChainEngine')}/v1/chains/shout"
    async with http.put(url, json={"source": CHAIN}, headers={"authorization": "Bearer ann"}) as reply:
        assert reply.status == 201, await reply.text()


async def as_one_process(
    start_node: StartNode, http: aiohttp.ClientSession, vendor: Vendor, personas: Path
) -> Any:
    """What the model is asked on the second turn when every role lives in one process."""
    toml = (
        provider(vendor)
        + f'[persona_layer]\npersonas_path = "{personas}"\n'
        + f'[rag]\nembedding_model_path = "{minilm()}"\nembedding_threads = 1\n'
    )
    node = await start_node(toml, role="All")
    urls = {each.role: each.url for each in node.listening}
    await ingest(http, urls["RagManager"], {})
    for _ in range(2):
        async with http.post(f"{urls['Router']}/v1/chat/completions", json=WHOLE) as reply:
            assert reply.status == 200, await reply.text()
    roles = [message["role"] for message in asked(vendor)]
    assert roles == ["system", "user", "assistant", "user", "assistant", "user"]
    assert "<context>" in json.dumps(asked(vendor)[-1])
    return asked(vendor)
