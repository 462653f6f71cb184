"""What a node keeps is its user's alone, in a directory that was given too; what is not its own stays as it is."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import aiohttp
import pytest

from intellirouter.app import own_files
from tests.e2e.test_nodes import ingest
from tests.servers.minilm import minilm
from tests.servers.process import command, node_process


def open_to_others(folder: Path) -> list[str]:
    """What anybody but the owner can read or enter."""
    return [
        f"{place.relative_to(folder.parent)} {place.stat().st_mode & 0o777:o}"
        for place in (folder, *folder.rglob("*"))
        if place.stat().st_mode & 0o077
    ]


@pytest.mark.parametrize("backend", ["embedded", "redis"])
async def test_a_running_node_keeps_all_to_itself(
    backend: str, tmp_path: Path, http: aiohttp.ClientSession
) -> None:
    data, log = tmp_path / "data", tmp_path / "logs/ir.log"
    for given in (data, log.parent):
        given.mkdir(mode=0o755)
    old = os.umask(0o000)  # whatever the user's is
    environment = {
        "INTELLIROUTER__PATHS__DATA_DIR": str(data),
        "INTELLIROUTER__SERVER__PORT": "0",
        "INTELLIROUTER__RAG__EMBEDDING_MODEL_PATH": str(minilm()),
        "INTELLIROUTER__MODEL_REGISTRY__DISCOVER_ENVIRONMENT": "false",
        "INTELLIROUTER__MEMORY__BACKEND_TYPE": backend,
        "INTELLIROUTER__MEMORY__REDIS_URL": "redis://127.0.0.1:1",
    }
    try:
        async with node_process("--role", "All", environment=environment) as node:
            lines = [await node.event("server.listening", count=number) for number in (1, 2, 3, 4)]
            ports = {line["role"]: line["port"] for line in lines}
            if backend == "embedded":
                await ingest(http, f"http://127.0.0.1:{ports['RagManager']}", {})
            assert open_to_others(data) == []
        environment["INTELLIROUTER__TELEMETRY__LOG_FILE"] = str(log)
        await command("keys", "create", "ann", environment=environment)
        async with node_process("--role", "Router", environment=environment):
            async with asyncio.timeout(60):
                while True:
                    if log.exists():
                        break
                    await asyncio.sleep(0.05)
            assert log.stat().st_mode & 0o777 == 0o600
    finally:
        os.umask(old)
    assert open_to_others(data) == []


def test_what_an_earlier_version_left_open_is_closed_at_the_start(tmp_path: Path) -> None:
    data = tmp_path / "data"
    (data / "rag/blobs/ab").mkdir(parents=True)
    (data / "records").mkdir()
    files = (
        "state.db",
        "state.db-wal",
        "chains.db",
        "chains.db.lock",
        "requests.db",
        "keys.json",
        "backup.key",
        "rag/catalog.sqlite3",
        "rag/blobs/ab/cd",
    )
    for name in files:
        (data / name).write_text("x")
        (data / name).chmod(0o644)
    for folder in (data, data / "rag", data / "rag/blobs", data / "rag/blobs/ab"):
        folder.chmod(0o755)
    own_files.close(data)
    assert open_to_others(data) == []


def test_a_directory_that_holds_more_than_ours_stays_open_and_what_is_ours_does_not(tmp_path: Path) -> None:
    for name in ("state.db", "holiday.jpg"):
        (tmp_path / name).write_text("x")
        (tmp_path / name).chmod(0o644)
    tmp_path.chmod(0o755)
    own_files.close(tmp_path)
    assert tmp_path.stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "holiday.jpg").stat().st_mode & 0o777 == 0o644
    assert (tmp_path / "state.db").stat().st_mode & 0o777 == 0o600


def test_no_link_leads_out(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    outside.chmod(0o755)
    (outside / "kept").write_text("x")
    (outside / "kept").chmod(0o644)
    data = tmp_path / "data"
    (data / "rag").mkdir(parents=True)
    (data / "personas").symlink_to(outside)
    (data / "rag/link").symlink_to(outside / "kept")
    own_files.close(data)
    assert outside.stat().st_mode & 0o777 == 0o755
    assert (outside / "kept").stat().st_mode & 0o077
