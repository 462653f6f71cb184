"""What people read at a terminal of 80 columns."""

from __future__ import annotations

from pathlib import Path

import aiohttp

from tests.cli.test_mistakes import walk
from tests.servers.process import command, node_process


async def test_a_node_on_free_ports_is_found_by_every_command_and_its_answers_fit(
    tmp_path: Path, http: aiohttp.ClientSession
) -> None:
    environment = {"INTELLIROUTER__PATHS__DATA_DIR": str(tmp_path / "data"), "OLLAMA_HOST": "127.0.0.1:1"}
    chain = tmp_path / "nap.yaml"
    chain.write_text("chain: {name: nap}\nsteps:\n  - id: say\n    set: {value: \"'done'\"}\n")
    async with node_process("--port", "0", environment=environment) as node:
        await node.event("server.listening", count=4)
        routers = [line for line in node.lines if line.get("event") == "server.listening"]
        url = next(f"http://127.0.0.1:{line['port']}" for line in routers if line.get("role") == "Router")
        async with http.post(f"{url}/v1/embeddings", json={"model": "auto", "input": "a"}) as reply:
            told = (await reply.json())["error"]["message"]
            assert reply.status == 400
            assert "No provider that makes embeddings is configured" in told
        here = {**environment, "COLUMNS": "80"}
        code, said, errors = await command("models", "list", environment=here)
        assert code == 0, errors
        assert all(len(line) <= 80 for line in said.splitlines())
        code, said, errors = await command("chain", "put", str(chain), environment=here)
        assert code == 0, errors
        code, run, errors = await command("chain", "start", "nap", environment=here)
        assert code == 0, errors
        assert run.startswith("run_")
        assert run.count("\n") == 1, "only the id, for RUN=$(…)"
        code, said, errors = await command("chain", "ls", environment=here)
        assert run.strip() in said
        assert all(len(line) <= 80 for line in said.splitlines())
        code, _, errors = await command("models", "drain", "nobody", "--undo", environment=here)
        assert code != 0
        assert "'nobody' is not drained" in errors
    (outcome,) = walk([["chain", "ls"]], tmp_path, INTELLIROUTER_CHAIN_URL="")
    assert (
        "127.0.0.1:8081" in str(outcome["printed"]) or outcome["code"] == 0
    )  # somebody else's may listen there
