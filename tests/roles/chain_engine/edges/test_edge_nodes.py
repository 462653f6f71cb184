"""An edge and its centre as nodes: over HTTP and gRPC, through kill -9 at each point, and beside strangers."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import signal
import sqlite3
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import jwt
import pytest
from pydantic import SecretStr
from typer.testing import CliRunner

from intellirouter.app.components.remote_centre import centre
from intellirouter.app.roles import select
from intellirouter.app.supervisor import running
from intellirouter.cli.main import build
from intellirouter.config.load import load
from intellirouter.config.schema.ipc import IpcSecurity
from intellirouter.errors import IntelliRouterError
from intellirouter.peers.contract import Call
from intellirouter.peers.edges import FORMAT, PATH, Batch, Sent, Taken
from intellirouter.records.query import Query
from intellirouter.roles.chain_engine.edges.arrivals import Arrivals
from intellirouter.roles.chain_engine.keys import ENGINE
from intellirouter.roles.chain_engine.retention import forget_ended
from intellirouter.roles.keys import RECORDS
from intellirouter.security.caller import PEER_HEADER, Caller
from intellirouter.security.peer_tokens import PeerSigner
from tests.conftest import StartNode
from tests.roles.chain_engine.edges.test_arrivals import document, sent
from tests.roles.chain_engine.edges.test_forwarding import QUICK
from tests.roles.chain_engine.test_api import Client, auth
from tests.servers.ports import free_port
from tests.servers.process import NodeProcess, node_process

TOKEN, OTHER = "9f86d081884c7d659a2feaa0c55ad015", "a3bf4f1b2b0b822cd15d6c15b0f00a08"
CENTRE = (
    f'[chain_engine.edges.shop]\ntoken = "{TOKEN}"\ntenants = ["a", "default"]\n'
    f'[chain_engine.edges.depot]\ntoken = "{OTHER}"\ntenants = ["b"]\n'
)


OPERATOR = (
    '[auth]\nenabled = true\n[[auth.keys]]\nname = "root"\ntenant = "a"\nscopes = ["admin"]\n'
    f'sha256 = "{hashlib.sha256(b"root").hexdigest()}"\n'
)


def hybrid(url: str, token: str = TOKEN, name: str = "shop", more: str = "") -> str:
    return (
        f'[server]\nport = 0\n[chain_engine]\nmode = "hybrid"\n[chain_engine.centre]\nurl = "{url}"\nname = "{name}"\n'
        f'token = "{token}"\n{more}'
    )


def call(name: str = "shop") -> Call:
    return Call(Caller(key_id=name), "req_1", time.monotonic() + 30)


@pytest.mark.parametrize("protocol", ["http", "grpc"])
async def test_runs_are_taken_shown_and_told_over_both_transports(
    protocol: str, tmp_path: Path, start_node: StartNode, http: aiohttp.ClientSession
) -> None:
    port = free_port()
    node = await start_node(
        auth(ann="a", bob="b") + f"[server]\ngrpc_port = {port}\n" + CENTRE, role="ChainEngine"
    )
    url = node.listening[0].url
    ask = Client(http, url)
    file = tmp_path / "edge.toml"

    def settings(token: str = TOKEN, name: str = "shop") -> Any:
        where = url if protocol == "http" else f"http://127.0.0.1:{port}"
        file.write_text(hybrid(where, token, name, f'protocol = "{protocol}"\n'))
        return load(file, {}, {}).settings

    async with centre(settings()) as there:
        batch = Batch(FORMAT, (sent(1, tenant="a"), sent(2, tenant="b"), sent(3, tenant="a", text="{")))
        for _ in range(2):
            good, other, bad = (await there.take(batch, call())).runs
            assert (good.version, good.digest) == (1, batch.runs[0].digest)
            assert ("tenant 'b'" in other.refused, "cannot be read" in bad.refused) == (True, True)
        told = f'{{"ended": {time.time()}, "tenant": "a", "cost_usd": 0.5, "request_id": "req_edge"}}'
        rows = (Sent("77", 1, "a", told), Sent("78", 1, "b", told.replace('"a"', '"b"')))
        for _ in range(2):
            good, other = (await there.take(Batch(FORMAT, rows=rows), call())).rows
            assert (good.digest, "tenant 'b'" in other.refused) == (rows[0].digest, True)
        records: Any = node.opened[RECORDS]
        total = await records.ask(lambda store: store.total(Query(request_id="req_edge")))
        assert (total.requests, total.cost_usd) == (1, 0.5)
        depot, shop = node.opened[ENGINE].arrivals.heard()
        told_once = (depot["taken"], shop["taken"], shop["rows_taken"])
        assert told_once == (0, 1, 1), "what comes again is not taken again"
        with pytest.raises(IntelliRouterError, match="format 9"):
            await there.take(Batch(9), call())
        large = Sent("run_9", 1, "a", "x" * 17_000_000)
        with pytest.raises(IntelliRouterError) as refused:
            await there.take(Batch(FORMAT, (large,)), call())
        assert refused.value.status == 413
    for token, name in ((OTHER, "shop"), (TOKEN, "depot"), (TOKEN, "nobody")):
        meant = "refused" if name == "nobody" else f"chain_engine.edges.{name}.token"
        async with centre(settings(token, name)) as there:
            with pytest.raises(IntelliRouterError, match=meant):
                await there.take(batch, call(name))
    assert node.opened[ENGINE].line.unstarted(0.0, time.time() + 60, 10) == []  # it began elsewhere
    _, told = await ask("GET", "/v1/runs")
    (run,) = told["data"]
    assert (run["id"], run["edge"], run["status"], run["chain"]) == ("shop:run_1", "shop", "succeeded", "ask")
    one = f"/v1/runs/{run['id']}"
    _, whole = await ask("GET", one)
    assert (whole["usage"]["cost_usd"], whole["input"], whole["output"]) == (
        0.25,
        {"question": "?"},
        {"answer": "yes"},
    )
    _, steps = await ask("GET", f"{one}/steps")
    assert [step["path"] for step in steps["data"]] == ["a"]
    _, line = await ask("GET", f"{one}/timeline")
    assert line["data"][0]["kind"] == "llm"
    async with http.get(f"{url}{one}/events", headers={"authorization": "Bearer ann"}) as reply:
        events = await reply.text()
    assert ("event: step_finished" in events, "event: run_ended" in events) == (True, True)
    for act in ("cancel", "resume", "signals/go"):
        status, told = await ask("POST", f"{one}/{act}", {})
        assert (status, "edge 'shop'" in told["error"]["message"]) == (409, True), act
    assert (await ask("POST", f"{one}/fork", {"step": 1}))[0] == 409
    # another tenant sees nothing of it
    bob = Client(http, url, "bob")
    assert (await bob("GET", "/v1/runs"))[1]["data"] == []
    assert (await bob("GET", one))[0] == 404
    # a node that dies while it deletes leaves nothing that no sweep finds
    service: Any = node.opened[ENGINE]
    arrivals, service.arrivals = service.arrivals, Failing(service.arrivals)
    with pytest.raises(OSError, match="killed"):
        await forget_ended(service, time.time() + 1, 100)
    service.arrivals = arrivals
    assert await forget_ended(service, time.time() + 1, 100) == 1
    assert arrivals.rest(run["id"]).steps == []


class Failing:
    """What a centre has of its edges, and dies over."""

    def __init__(self, there: Arrivals) -> None:
        self._there = there

    def forget(self, _run_ids: Sequence[str]) -> None:
        raise OSError("killed")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._there, name)


async def test_an_edge_s_token_is_good_for_its_errand_alone_and_once(
    start_node: StartNode, http: aiohttp.ClientSession
) -> None:
    trust = '[ipc.security]\nenabled = true\ntoken = "d41d8cd98f00b204e9800998ecf8427e"\n'
    node = await start_node(auth(ann="a") + trust + CENTRE, role="ChainEngine")
    url = node.listening[0].url
    body = {"format": 1, "runs": [{"id": "run_1", "version": 1, "tenant": "a", "document": document()}]}

    async def asked(headers: dict[str, str], path: str = PATH, method: str = "POST") -> tuple[int, Any]:
        async with http.request(method, url + path, json=body, headers=headers) as reply:
            return reply.status, await reply.json()

    def signed(roles: set[str], token: str = TOKEN, **caller: Any) -> dict[str, str]:
        signer = PeerSigner(IpcSecurity(enabled=True, token=SecretStr(token)), roles)
        return signer.headers("ChainEngine", Caller(**{"key_id": "shop", **caller}))

    good = signed({"Edge"})
    assert (await asked(good))[0] == 200
    assert (await asked(good))[0] == 401  # heard and sent again by somebody on the way
    assert (await asked({}))[0] == 401
    assert (await asked({"authorization": "Bearer ann"}))[0] == 403
    # what an edge's token does not open: other endpoints, other roles, other names, another algorithm
    assert (await asked(signed({"Edge"}), "/v1/runs", "GET"))[0] == 403
    assert (await asked(signed({"Edge"}, tenant="b", scopes=frozenset({"admin"})), "/v1/edges", "GET"))[
        0
    ] == 403
    for roles in ({"Router"}, {"Edge", "Router"}, {"ChainEngine"}):
        assert (await asked(signed(roles), "/v1/runs", "GET"))[0] in (401, 403), roles
        assert (await asked(signed(roles)))[0] in (401, 403), roles
    assert (await asked(signed({"Edge"}, key_id="depot")))[0] == 401
    claims = jwt.decode(signed({"Edge"})[PEER_HEADER], options={"verify_signature": False})
    for more in (
        {"exp": claims["iat"] + 10_000},
        {"iat": claims["iat"] - 9_000, "exp": claims["iat"] - 8_990},
        {"aud": "Router"},
    ):
        key = PeerSigner(IpcSecurity(enabled=True, token=SecretStr(TOKEN)), {"Edge"})._key
        forged = jwt.encode({**claims, "jti": "x", **more}, key, "HS256")
        assert (await asked({PEER_HEADER: forged}))[0] == 401, more
    assert (await asked({PEER_HEADER: jwt.encode(claims, "", "none")}))[0] == 401
    # who holds the secret of the installation may say that it is an edge, of those that there are
    mine = signed({"Edge"}, "d41d8cd98f00b204e9800998ecf8427e", key_id="nobody")
    status, told = await asked(mine)
    assert (status, "chain_engine.edges" in told["error"]["message"]) == (403, True)


class Taking:
    """What a centre takes in with, which does something else of a call first."""

    def __init__(self, there: Arrivals) -> None:
        self._there = there
        self.before: list[Callable[[], None]] = []
        self.after: list[Callable[[], None]] = []

    async def take(self, *given: Any) -> Taken:
        if self.before:  # the batch is on its way
            self.before.pop(0)()
            await asyncio.sleep(60)
        found = await self._there.take(*given)
        if self.after:  # all is kept, and nobody hears of it
            self.after.pop(0)()
            await asyncio.sleep(60)
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._there, name)


def waiting(folder: Path) -> int:
    with contextlib.closing(sqlite3.connect(folder / "chains.db", timeout=30)) as db:
        found = db.execute("select count(*) from intellirouter_chain_outbox where change > sent")
        return int(found.fetchone()[0])


async def test_sixty_runs_an_edge_that_is_killed_and_a_centre_that_was_away(
    tmp_path: Path, http: aiohttp.ClientSession
) -> None:
    """The hybrid drill in short; `scripts/hybrid_drill.py` is the long form."""
    port, file, folder = free_port(), tmp_path / "edge.toml", tmp_path / "edge"
    more = f'batch_items = 16\nlongest_pause_seconds = 0.2\n[paths]\ndata_dir = "{folder}"\n'
    file.write_text(hybrid(f"http://127.0.0.1:{port}", more=more) + OPERATOR)

    async with contextlib.AsyncExitStack() as stack:

        async def started() -> tuple[NodeProcess, Client]:
            edge = await stack.enter_async_context(
                node_process("--role", "ChainEngine", "--config", str(file))
            )
            return edge, Client(http, await edge.url(), "root")

        async def run(number: int) -> str:
            body = {"input": {"n": number}, "mode": "background"}
            key = {"idempotency-key": f"key-{number}"}
            return str((await ask("POST", "/v1/chains/quick/runs", body, **key))[1]["id"])

        edge, ask = await started()
        assert (await ask("PUT", "/v1/chains/quick", {"source": QUICK}))[0] == 201
        ids = {await run(number) for number in range(30)}
        await edge.event("chain.centre_away")
        edge.signal(signal.SIGKILL)
        await edge.wait()
        edge, ask = await started()
        ids |= {await run(number) for number in range(60)}  # those of before are found by their keys
        assert len(ids) == 60
        assert "does not answer since" in await asyncio.to_thread(status, ask.url, 1)

        flags = {("server", "port"): port, ("paths", "data_dir"): tmp_path / "centre"}
        there = tmp_path / "centre.toml"
        there.write_text(auth(ann="a") + CENTRE)
        node = await stack.enter_async_context(running(load(there, {}, flags), select("ChainEngine")))
        engine: Any = node.opened[ENGINE]
        taking = engine.arrivals = Taking(engine.arrivals)
        for moments in (taking.before, taking.after):
            moments.append(partial(edge.signal, signal.SIGKILL))
            await edge.wait()
            edge, ask = await started()
        asking = Client(http, node.listening[0].url)
        async with asyncio.timeout(60):
            while True:  # what was killed under way goes on, and ends when it does
                _, first = await asking("GET", "/v1/runs?limit=40")
                _, rest = await asking("GET", f"/v1/runs?limit=40&after={first['after']}")
                found = first["data"] + rest["data"]
                if len(found) >= 60 and not await asyncio.to_thread(waiting, folder):
                    break
                await asyncio.sleep(0.2)
        assert sorted(run["output"] for run in found) == list(range(60))
        assert {run["edge_run"] for run in found} == ids
        assert {(run["status"], run["edge"]) for run in found} == {("succeeded", "shop")}
        assert "waiting    0" in await asyncio.to_thread(status, ask.url, 0)


async def test_a_centre_that_refuses_the_token_is_not_said_to_be_away(
    start_node: StartNode, tmp_path: Path, http: aiohttp.ClientSession
) -> None:
    there = await start_node(auth(ann="a") + CENTRE, role="ChainEngine")
    file = tmp_path / "edge.toml"
    more = f'[paths]\ndata_dir = "{tmp_path / "edge"}"\n'
    file.write_text(hybrid(there.listening[0].url, token=OTHER, more=more) + OPERATOR)
    async with node_process("--role", "ChainEngine", "--config", str(file)) as edge:
        ask = Client(http, await edge.url(), "root")
        assert (await ask("PUT", "/v1/chains/quick", {"source": QUICK}))[0] == 201
        assert (await ask("POST", "/v1/chains/quick/runs", {"input": {"n": 1}}))[0] == 200
        await edge.event("chain.centre_away")
        told = await asyncio.to_thread(status, ask.url, 1)
    assert "takes nothing since" in told
    assert "does not answer" not in told


def status(url: str, code: int) -> str:
    done = CliRunner().invoke(build("chain"), ["chain", "edge", "status", "--url", url, "--api-key", "root"])
    assert done.exit_code == code, done.output
    return done.output
