"""The processes that a node starts: they are told no secret, and a Ctrl-C at the terminal is not for them."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import aiohttp

from tests.e2e.test_nodes import ingest
from tests.servers.minilm import minilm
from tests.servers.process import node_process

SECRETS = {
    "OPENAI_API_KEY": "planted-key",
    "INTELLIROUTER__IPC__SECURITY__TOKEN": "planted-token",
    "AWS_SECRET_ACCESS_KEY": "planted-cloud",
    "MY_DATABASE_PASSWORD": "planted-password",
}


def children(parent: int) -> dict[int, str]:
    """Pid and environment of every process below."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(entry.read_text().rpartition(")")[2].split()[1]) == parent:
                found[int(entry.parent.name)] = (entry.parent / "environ").read_bytes().decode()
        except (OSError, ValueError):  # it has just ended
            continue
    return found


async def test_children_know_no_secret_and_the_node_ends_them_in_its_own_time(
    tmp_path: Path, http: aiohttp.ClientSession
) -> None:
    environment = {
        **SECRETS,
        "INTELLIROUTER__PATHS__DATA_DIR": str(tmp_path),
        "INTELLIROUTER__SERVER__PORT": "0",
        "INTELLIROUTER__RAG__EMBEDDING_MODEL_PATH": str(minilm()),
        "INTELLIROUTER__MODEL_REGISTRY__DISCOVER_ENVIRONMENT": "false",
    }
    async with node_process("--role", "All", environment=environment, own_group=True, cold=True) as node:
        started = [await node.event("server.listening", count=number) for number in (1, 2, 3, 4)]
        ports = {line["role"]: line["port"] for line in started}
        await ingest(http, f"http://127.0.0.1:{ports['RagManager']}", {})
        found = children(node.process.pid)
        assert len(found) >= 2  # the one that reads documents, and Chroma's
        for told in found.values():
            assert "PATH=" in told
            assert "planted" not in told
        os.killpg(node.process.pid, signal.SIGINT)
        assert await node.wait() == 0
        said = "\n".join(str(line) for line in node.lines)
        assert "Traceback" not in said
        assert "KeyboardInterrupt" not in said
        assert not [pid for pid in found if Path(f"/proc/{pid}").exists()]  # noqa: ASYNC240  one look
