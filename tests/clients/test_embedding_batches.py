"""Embeddings in batches: split to what a provider takes at once, joined in order."""

from __future__ import annotations

import ollama
import openai
import pytest

from tests.conftest import StartNode, StartVendor, provider
from tests.servers.vendor import Play, Received


@pytest.mark.parametrize("kind", ["openai", "ollama"])
async def test_embeddings_are_split_to_the_providers_limit_and_joined_in_order(
    start_node: StartNode, start_vendor: StartVendor, kind: str
) -> None:
    def vendor(request: Received) -> Play:
        inputs = request.json["input"]
        vectors = [[float(text), 0.5] for text in inputs]
        if kind == "ollama":
            return Play.json({"model": "e", "embeddings": vectors, "prompt_eval_count": len(inputs)})
        data = [
            {"index": i, "object": "embedding", "embedding": v} for i, v in reversed(list(enumerate(vectors)))
        ]
        return Play.json(
            {"model": "e", "data": data, "usage": {"prompt_tokens": len(inputs), "total_tokens": 1}}
        )

    stand_in = await start_vendor(vendor)
    node = await start_node(provider(stand_in, kind=kind))
    texts = [str(number) for number in range(2_500)]
    client = openai.AsyncOpenAI(base_url=f"{node.listening[0].url}/v1", api_key="unused", max_retries=0)
    answer = await client.embeddings.create(model="primary/m", input=texts)  # asks for base64
    assert [item.embedding for item in answer.data] == [[float(text), 0.5] for text in texts]
    assert answer.usage.prompt_tokens == 2_500
    assert len(stand_in.received) == (2 if kind == "openai" else 5)
    await client.close()
    theirs = ollama.AsyncClient(host=node.listening[0].url)
    assert (await theirs.embed("primary/m", ["7", "8"])).embeddings == [[7.0, 0.5], [8.0, 0.5]]
