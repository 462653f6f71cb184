"""What `intellirouter diagnose` says of who has a role's port."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from intellirouter.app import diagnosis
from intellirouter.app.diagnosis import roles
from intellirouter.app.node_files import NodeFile
from intellirouter.app.roles import select
from intellirouter.config.load import load
from intellirouter.ops.diagnose.finding import Level
from tests.servers.certificates import Authority
from tests.servers.ports import free_port

OURS = {"role": "Router", "status": "healthy", "parts": {}}
SICK = {"status": "degraded", "reason": "no models"}
# what answers on the port, whether this node says that it is its own, and what is found
CASES: dict[str, tuple[dict[str, Any] | str | None, bool, Level, str]] = {
    "nobody": (None, False, Level.OK, "not running: nothing listens on WHERE"),
    "a stranger": ("<html>", False, Level.PROBLEM, "WHERE is taken by "),
    "a stranger's JSON": ("[1]", False, Level.PROBLEM, "not by IntelliRouter"),
    "another node": (OURS, False, Level.WARNING, "WHERE is another node's, with another data directory"),
    "this node": (OURS, True, Level.OK, "healthy on WHERE"),
    "drained": ({**OURS, "draining": True}, True, Level.WARNING, "WHERE, drained: no new requests"),
    "another role": ({**OURS, "role": "RagManager"}, True, Level.PROBLEM, "WHERE is the RagManager's"),
    "a part": ({**OURS, "parts": {"x": SICK}}, True, Level.WARNING, "says degraded: no models"),
}


async def found(
    said: dict[str, Any] | str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    own: bool,
    toml: str = "",
) -> tuple[Level, str]:
    """The worst of it."""
    port, body = free_port(), said if isinstance(said, str) else json.dumps(said)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 200 OK\r\n\r\n{body}".encode())
        writer.close()

    running = [NodeFile(1, 0, 0, roles={"Router": f"http://127.0.0.1:{port}"})] if own else []
    monkeypatch.setattr(diagnosis, "running", lambda _: running)
    file = tmp_path / "router.toml"
    file.write_text(
        f"[server]\nhost = '127.0.0.1'\nport = {9 if own else port}\n{toml}[paths]\ndata_dir = '{tmp_path}'\n"
    )
    server = await asyncio.start_server(answer, "127.0.0.1", port) if said is not None else None
    try:
        findings = await roles(load(file, {}), select("Router"), 5)
    finally:
        if server is not None:
            server.close()
    worst = max(findings, key=lambda one: one.level)
    return worst.level, worst.message.replace(f"127.0.0.1:{port}", "WHERE")


@pytest.mark.parametrize("case", CASES)
async def test_who_has_the_port_is_told(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said, own, level, words = CASES[case]
    told = await found(said, tmp_path, monkeypatch, own=own)
    assert told[0] is level, told
    assert words in told[1], told


async def test_over_tls_it_is_told_that_the_port_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, key = Authority(tmp_path).issue("Router")
    tls = f"[server.tls]\ncertificate = '{certificate}'\nkey = '{key}'\n"
    told = await found("", tmp_path, monkeypatch, own=True, toml=tls)
    assert told == (Level.OK, "WHERE is taken, over TLS")
