"""Every node may name the addresses of all roles: `diagnose` takes none for a node that refuses it by mistake."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from tests.ops.test_breakages import Node, diagnose
from tests.servers.certificates import Authority
from tests.servers.process import node_process

ADDRESSES = {
    "Router": "router_endpoint",
    "ChainEngine": "chain_engine_endpoint",
    "RagManager": "rag_manager_endpoint",
    "PersonaLayer": "persona_layer_endpoint",
}
TOKEN = "a-token-of-all-the-nodes-1"


def section(trusted: dict[str, object]) -> str:
    return "[ipc.security]\nenabled = true\n" + "".join(
        f'{name} = "{value}"\n' for name, value in trusted.items()
    )


@pytest.mark.parametrize("own", [None, *ADDRESSES], ids=lambda own: own or "token")
async def test_a_node_that_names_every_role_is_refused_by_none(tmp_path: Path, own: str | None) -> None:
    """By token, and by a certificate that names `own`."""
    there, here = dict[str, object](token=TOKEN), dict[str, object](token=TOKEN)
    scheme = "http"
    if own is not None:
        authority, scheme = Authority(tmp_path), "https"
        for side, roles in ((there, tuple(ADDRESSES)), (here, (own,))):
            certificate, key = authority.issue(*roles, days=90)
            side.clear()
            side.update(ca=authority.file, certificate=certificate, key=key)
    ports = "".join(
        f"[roles.{role}]\nport = 0\n" for role in ("chain_engine", "rag_manager", "persona_layer")
    )
    config = tmp_path / "there.toml"
    config.write_text(
        f'[server]\nport = 0\n[paths]\ndata_dir = "{tmp_path / "there"}"\n{ports}{section(there)}'
    )
    async with node_process("--config", str(config)) as other:
        ipc = "[ipc]\n"
        for count in range(len(ADDRESSES)):
            said = await other.event("server.listening", count=count + 1)
            ipc += f'{ADDRESSES[said["role"]]} = "{scheme}://127.0.0.1:{said["port"]}"\n'
        with contextlib.ExitStack() as stack:
            _, found, printed = diagnose(Node(tmp_path, stack), f"{ipc}{section(here)}")
    for role in ADDRESSES:
        assert role in found, printed
        assert found[role]["level"] == "ok", printed
    assert "refuses our calls" not in printed
