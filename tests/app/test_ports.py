"""Every role's port can be set; two nodes with all roles live on one machine; a port that is taken is said before anything is opened."""

from __future__ import annotations

import asyncio
import socket
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest

from intellirouter.app.listening import port_of
from intellirouter.app.roles import ROLES
from intellirouter.config.load import load
from tests.servers.ports import free_port
from tests.servers.process import command, node_process

CUSTOMARY = {"Router": 8080, "ChainEngine": 8081, "RagManager": 8082, "PersonaLayer": 8083}
TOGETHER = [
    ({}, CUSTOMARY),
    ({"INTELLIROUTER__SERVER__PORT": "9000"}, {**CUSTOMARY, "Router": 9000}),
    ({"INTELLIROUTER__SERVER__PORT": "0"}, dict.fromkeys(CUSTOMARY, 0)),
    ({"INTELLIROUTER__ROLES__RAG_MANAGER__PORT": "9"}, {**CUSTOMARY, "RagManager": 9}),
    (
        {"INTELLIROUTER__SERVER__PORT": "0", "INTELLIROUTER__ROLES__CHAIN_ENGINE__PORT": "7"},
        {**dict.fromkeys(CUSTOMARY, 0), "ChainEngine": 7},
    ),
    (
        {"INTELLIROUTER__SERVER__PORT": "5", "INTELLIROUTER__ROLES__ROUTER__PORT": "6"},
        {**CUSTOMARY, "Router": 6},
    ),
]


@pytest.mark.parametrize(("environment", "ports"), TOGETHER)
def test_where_each_role_listens(environment: dict[str, str], ports: dict[str, int]) -> None:
    loaded = load(None, environment)
    assert {entry.name: port_of(entry, loaded, alone=False) for entry in ROLES} == ports


def test_a_role_alone_takes_the_port_of_the_server_unless_it_has_its_own() -> None:
    rag = next(entry for entry in ROLES if entry.name == "RagManager")
    assert port_of(rag, load(None, {}), alone=True) == 8082
    assert port_of(rag, load(None, {"INTELLIROUTER__SERVER__PORT": "4"}), alone=True) == 4
    both = {"INTELLIROUTER__SERVER__PORT": "4", "INTELLIROUTER__ROLES__RAG_MANAGER__PORT": "3"}
    assert port_of(rag, load(None, both), alone=True) == 3


async def test_two_nodes_with_all_roles_on_one_machine(tmp_path: Path, http: aiohttp.ClientSession) -> None:
    async with AsyncExitStack() as stack:
        for number in ("one", "two"):
            ports = {role: free_port() for role in CUSTOMARY}
            flags = ["--port", str(ports["Router"])]
            for role, flag in zip(
                list(CUSTOMARY)[1:], ("chain-engine", "rag-manager", "persona-layer"), strict=True
            ):
                flags += [f"--port-{flag}", str(ports[role])]
            environment = {
                "INTELLIROUTER__PATHS__DATA_DIR": str(tmp_path / number),
                "INTELLIROUTER__MODEL_REGISTRY__DISCOVER_ENVIRONMENT": "false",
            }
            node = await stack.enter_async_context(
                node_process("--role", "All", *flags, environment=environment)
            )
            await node.event("server.listening", count=4)
            for role, port in ports.items():
                async with http.get(f"http://127.0.0.1:{port}/health/live") as reply:
                    assert (await reply.json())["role"] == role


async def test_a_port_that_is_taken_is_said_with_the_way_out_and_before_anything_is_made(
    tmp_path: Path,
) -> None:
    data = tmp_path / "data"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        environment = {"INTELLIROUTER__PATHS__DATA_DIR": str(data), "INTELLIROUTER__SERVER__PORT": "0"}
        code, out, errors = await command("run", "--port-rag-manager", str(port), environment=environment)
    assert code == 78
    said = f"error: RagManager cannot listen on 127.0.0.1:{port} (Address already in use). "
    assert f"{said}Another port: --port-rag-manager, or [roles.rag_manager] port" in errors
    assert not out
    assert not (data / "state.db").exists()


@pytest.mark.parametrize(
    ("host", "why"),
    [
        ("203.0.113.7", "203.0.113.7 is no address of this machine."),
        ("node7.nowhere.invalid", "the name cannot be resolved"),
    ],
)
async def test_a_host_that_is_not_this_machine_is_said_and_no_other_port_advised(
    tmp_path: Path, host: str, why: str
) -> None:
    environment = {"INTELLIROUTER__PATHS__DATA_DIR": str(tmp_path), "INTELLIROUTER__SERVER__HOST": host}
    code, _, errors = await command("run", "--role", "Router", environment=environment)
    assert code == 78
    assert f"Router cannot listen on {host}:8080: {why}" in errors
    assert "Correct [server] host." in errors
    assert "Another port" not in errors


async def test_a_free_port_of_a_name_is_one_on_all_its_addresses(tmp_path: Path) -> None:
    environment = {
        "INTELLIROUTER__PATHS__DATA_DIR": str(tmp_path),
        "INTELLIROUTER__SERVER__HOST": "localhost",
        "INTELLIROUTER__MODEL_REGISTRY__DISCOVER_ENVIRONMENT": "false",
    }
    async with node_process("--role", "Router", "--port", "0", environment=environment) as node:
        port = (await node.event("server.listening"))["port"]
        for address in {info[4][0] for info in socket.getaddrinfo("localhost", port)}:
            _, writer = await asyncio.open_connection(address, port)
            writer.close()
