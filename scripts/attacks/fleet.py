"""The processes that are attacked: every role in one, or four that speak HTTP or gRPC to one another."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

import aiohttp

from intellirouter.security.api_keys import hash_key
from tests.servers.ports import free_port

Form = Literal["one", "http", "grpc"]
FORMS: tuple[Form, ...] = get_args(Form)
TABLES = {"ChainEngine": "chain_engine", "RagManager": "rag_manager", "PersonaLayer": "persona_layer"}
ROLES = ("Router", *TABLES)
SCOPES = {
    "a": ["inference", "chains", "personas"],
    "b": ["inference", "chains", "personas"],
    "plain": ["inference"],
    "admin": ["admin"],
}
KEYS = {name: f"sk-{name}-key-of-the-attack" for name in SCOPES} | {"none": "", "wrong": "sk-wrong"}
TOKEN = "a-token-of-the-attacked-fleet-0001"


@dataclass
class Fleet:
    """`pids` of its processes by role (one process: `All`), `urls` of every role, `wires` where each role speaks gRPC."""

    form: Form
    pids: dict[str, int] = field(default_factory=dict)
    urls: dict[str, str] = field(default_factory=dict)
    wires: dict[str, str] = field(default_factory=dict)


def _shared(vendor: str) -> str:
    keys = "".join(
        f'[[auth.keys]]\nname = "{name}"\nsha256 = "{hash_key(KEYS[name])}"\n'
        f'tenant = "{name[0]}"\nscopes = {json.dumps(scopes)}\n'
        for name, scopes in SCOPES.items()
    )
    return (
        f"[auth]\nenabled = true\n{keys}"
        f'[[model_registry.providers]]\nname = "p"\nkind = "openai_compatible"\nendpoint = "{vendor}/v1"\n'
        f'api_key = "sk-of-the-provider"\nmodels = ["m"]\n'
        f'[rag]\nembedding_model = "p/m"\n[telemetry]\nlog_level = "error"\n'
    )


@contextlib.asynccontextmanager
async def running(form: Form, folder: Path, vendor: str) -> AsyncIterator[Fleet]:
    """Start them; every role answers once this is entered. `vendor` is the URL of the provider's stand-in."""
    fleet = Fleet(form)
    ports = {role: free_port() for role in ROLES}
    fleet.urls = {role: f"http://127.0.0.1:{port}" for role, port in ports.items()}
    if form == "grpc":
        fleet.wires = {role: f"127.0.0.1:{free_port()}" for role in ROLES}
    async with contextlib.AsyncExitStack() as stack:
        processes = []
        for role in ("All",) if form == "one" else ROLES:
            toml = (
                f"[server]\nport = {ports['Router']}\n"
                + "".join(f"[roles.{table}]\nport = {ports[name]}\n" for name, table in TABLES.items())
                if form == "one"
                else _alone(fleet, role, ports[role])
            )
            file = folder / f"{role}.toml"
            file.write_text(f'{toml}[paths]\ndata_dir = "{folder / f"data-{role}"}"\n{_shared(vendor)}')
            processes.append(await stack.enter_async_context(_process(role, file, folder / f"{role}.log")))
            fleet.pids[role] = processes[-1].pid
        await _answering(fleet, processes, folder)
        yield fleet


def _alone(fleet: Fleet, role: str, port: int) -> str:
    others = "".join(
        f'{_endpoint(one)} = "http://{fleet.wires[one]}"\n'
        if fleet.wires
        else f'{_endpoint(one)} = "{fleet.urls[one]}"\n'
        for one in ROLES
        if one != role
    )
    wire = f"grpc_port = {fleet.wires[role].rpartition(':')[2]}\n" if fleet.wires else ""
    return (
        f'[server]\nport = {port}\n{wire}[ipc]\nprotocol = "{fleet.form}"\n{others}'
        f'[ipc.security]\nenabled = true\ntoken = "{TOKEN}"\n'
    )


def _endpoint(role: str) -> str:
    return "router_endpoint" if role == "Router" else f"{TABLES[role]}_endpoint"


@contextlib.asynccontextmanager
async def _process(role: str, file: Path, log: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    with log.open("wb") as lines:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "intellirouter", "run", "--role", role, "--config", str(file)),
            stdout=lines,
            stderr=lines,
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.terminate()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(process.wait(), 60)


async def _answering(fleet: Fleet, processes: list[asyncio.subprocess.Process], folder: Path) -> None:
    async with aiohttp.ClientSession() as http, asyncio.timeout(180):
        for url in fleet.urls.values():
            while True:
                with contextlib.suppress(aiohttp.ClientError):
                    async with http.get(f"{url}/health/live") as reply:
                        if reply.status == 200:
                            break
                if any(process.returncode is not None for process in processes):
                    raise SystemExit(await asyncio.to_thread(_last_words, folder))
                await asyncio.sleep(0.1)


def _last_words(folder: Path) -> str:
    return "\n".join(log.read_text()[-2_000:] for log in folder.glob("*.log"))
