"""A database that a node has open is locked by it: without that, whoever else opens and closes it deletes its log."""

from __future__ import annotations

from pathlib import Path

import aiohttp

from tests.servers.process import node_process

SHARED = 0x40000000 + 2
"""The first byte of the lock that every reader of a file has (SQLite's `os_unix.c`); with a log it is kept while the file is open."""


def databases_of(pid: int, directory: Path) -> set[Path]:
    """Those that the process has open now."""
    files = {link.readlink() for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()}
    return {file for file in files if file.is_relative_to(directory) and file.suffix in (".db", ".sqlite3")}


def without_lock(pid: int, directory: Path) -> set[str]:
    """Of these, those that it has no such lock on."""
    lines = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
    held = {line[5].rpartition(":")[2] for line in lines if line[4] == str(pid) and int(line[6]) == SHARED}
    return {file.name for file in databases_of(pid, directory) if str(file.stat().st_ino) not in held}


async def test_every_database_of_a_node_is_held_by_it_whatever_was_asked(tmp_path: Path) -> None:
    config = tmp_path / "node.toml"
    roles = "".join(
        f"[roles.{role}]\nport = 0\n" for role in ("chain_engine", "rag_manager", "persona_layer")
    )
    config.write_text(f'[server]\nport = 0\n[paths]\ndata_dir = "{tmp_path / "data"}"\n{roles}')
    async with (
        node_process("--config", str(config)) as node,
        aiohttp.ClientSession(await node.url()) as http,
    ):
        chat = {"model": "auto", "messages": [{"role": "user", "content": "Grass is green."}]}
        asked = (
            ("POST", "/v1/chat/completions", chat),
            ("POST", "/v1/feedback", {"response_id": "nobody's", "score": True}),
            *(
                ("GET", path, None)
                for path in ("/admin/requests", "/admin/usage?by=model", "/v1/vector_stores")
            ),
            *(("GET", path, None) for path in ("/v1/runs", "/v1/personas", "/health")),
        )
        for method, path, body in asked:
            async with http.request(method, path, json=body) as reply:
                await reply.read()
        pid = node.process.pid
        names = {file.name for file in databases_of(pid, tmp_path)}
        assert {"requests.db", "state.db", "chains.db"} <= names
        assert without_lock(pid, tmp_path) == set()
