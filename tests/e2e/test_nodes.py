"""The deployment guide's nodes: a process each, from the guide's own files, tied together by Redis and signed calls."""

from __future__ import annotations

import asyncio
import contextlib
import json
from pathlib import Path
from typing import Any

import aiohttp
from pydantic import SecretStr

from intellirouter.config.schema.ipc import PLACEHOLDER_TOKEN, IpcSecurity
from intellirouter.security.caller import ANONYMOUS
from intellirouter.security.peer_tokens import PeerSigner
from tests.conftest import StartNode, StartVendor, provider
from tests.roles.router.test_chat import ANSWER, BODY
from tests.roles.router.test_pipeline import PERSONA
from tests.servers.minilm import minilm
from tests.servers.process import NodeProcess, node_process
from tests.servers.redis import redis_server
from tests.servers.vendor import Play, Vendor

PAGE = b"Coal is black and burns well. It was formed from plants."
SIGNER = PeerSigner(IpcSecurity(enabled=True, token=SecretStr(PLACEHOLDER_TOKEN)))


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


async def test_nodes_of_their_own_answer_as_one_process_does_and_each_ones_absence_is_its_own(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    vendor = await start_vendor(Play.json(ANSWER))
    personas = tmp_path / "personas"
    personas.mkdir()
    (personas / "clerk.toml").write_text(PERSONA)
    model = {"INTELLIROUTER__RAG__EMBEDDING_MODEL_PATH": str(minilm())}
    expected = await as_one_process(start_node, http, vendor, personas)

    with redis_server(tmp_path / "redis") as redis:
        shared = {
            "INTELLIROUTER__SERVER__PORT": "0",
            "INTELLIROUTER__SERVER__HOST": "127.0.0.1",
            "INTELLIROUTER__MEMORY__REDIS_URL": redis.url,
            "INTELLIROUTER__RAG__VECTOR_DB_URL": "",
        }
        async with contextlib.AsyncExitStack() as stack:

            async def start(role: str, file: str, **more: str) -> tuple[NodeProcess, str]:
                data = {"INTELLIROUTER__PATHS__DATA_DIR": str(tmp_path / f"data-{role}")}
                node = await stack.enter_async_context(
                    node_process(
                        "--role", role, "--config", f"config/{file}", environment={**shared, **data, **more}
                    )
                )
                return node, await node.url()

            layer, layer_url = await start(
                "PersonaLayer",
                "persona-layer.toml",
                INTELLIROUTER__PERSONA_LAYER__PERSONAS_PATH=str(personas),
            )
            rag, rag_url = await start("RagManager", "rag-manager.toml", **model)
            providers = f'[{{name = "primary", kind = "openai_compatible", endpoint = "{vendor.url}/v1", models = ["m"]}}]'
            _, router_url = await start(
                "Router",
                "router.toml",
                INTELLIROUTER__IPC__PERSONA_LAYER_ENDPOINT=layer_url,
                INTELLIROUTER__IPC__RAG_MANAGER_ENDPOINT=rag_url,
                INTELLIROUTER__MODEL_REGISTRY__PROVIDERS=providers,
            )
            await ingest(http, rag_url, SIGNER.headers("RagManager", ANONYMOUS))
            chat = f"{router_url}/v1/chat/completions"
            for _ in range(2):
                async with http.post(chat, json=WHOLE) as reply:
                    assert reply.status == 200, await reply.text()
            assert asked(vendor) == expected

            async with http.get(f"{layer_url}/v1/personas") as reply:
                assert reply.status == 401  # behind the front, only signed calls
            await kill(rag)
            async with http.post(chat, json=WHOLE) as reply:
                assert (reply.status, (await reply.json())["error"]["code"]) == (503, "peer_unavailable")
            skipping = {**WHOLE, "rag": {**WHOLE["rag"], "on_error": "skip"}}
            async with http.post(chat, json=skipping) as reply:
                assert reply.status == 200
                assert reply.headers["x-intellirouter-rag"].startswith("skipped")
            await kill(layer)
            async with http.post(chat, json=skipping) as reply:
                assert reply.status == 503
            async with http.post(chat, json=BODY) as reply:
                assert reply.status == 200


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


async def kill(node: NodeProcess) -> None:
    node.process.kill()
    await node.wait()
