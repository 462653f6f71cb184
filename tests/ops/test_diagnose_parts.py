"""What `intellirouter diagnose` finds in units, clocks, providers, runs and documents."""

from __future__ import annotations

import contextlib
import http.server
import itertools
import json
import sqlite3
import threading
import time
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from intellirouter.chains.runtime.durable.opening import opened
from intellirouter.chains.steps.attempts import Worker
from intellirouter.config.redact import Redactor
from intellirouter.config.schema.chain_engine import ChainEngineSection
from intellirouter.config.schema.model_registry import ProviderSection
from intellirouter.inference.provider import provider_of
from intellirouter.ops.diagnose import logs
from intellirouter.ops.diagnose.documents import documents
from intellirouter.ops.diagnose.examine import log_tail
from intellirouter.ops.diagnose.finding import Level
from intellirouter.ops.diagnose.network import Place, reach
from intellirouter.ops.diagnose.providers import examine_provider
from intellirouter.ops.diagnose.runs import runs
from intellirouter.ops.diagnose.services import services
from intellirouter.providers.table import ADAPTERS
from intellirouter.roles.rag_manager import catalog, catalog_jobs
from intellirouter.transport.choose import make_transport
from tests.chains.offline import SUPPORT, Model, chain, ports, support
from tests.servers.postgres import postgres

UNITS = """
Id=intellirouter-router.service
ActiveState=active
SubState=running
NRestarts=0
Result=success

Id=intellirouter-rag-manager.service
ActiveState=active
SubState=running
NRestarts=7
Result=success

Id=intellirouter-chain-engine.service
ActiveState=failed
SubState=failed
NRestarts=5
Result=exit-code
"""


def program(directory: Path, name: str, script: str) -> None:
    """Something that stands in for systemd's own, which runs on no machine without it."""
    (directory / name).write_text(f"#!/bin/sh\n{script}\n")
    (directory / name).chmod(0o755)


async def test_units_and_clock_as_systemd_tells_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path, "systemctl", f"cat <<'END'\n{UNITS.strip()}\nEND")
    program(tmp_path, "timedatectl", "echo no")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    found = {one.name: one for one in await services(5)}
    assert found["intellirouter-router.service"].level is Level.OK
    assert found["intellirouter-rag-manager.service"].level is Level.WARNING
    assert "restarted 7 times" in found["intellirouter-rag-manager.service"].message
    assert found["intellirouter-chain-engine.service"].level is Level.PROBLEM
    assert "exit-code" in found["intellirouter-chain-engine.service"].message
    assert "journalctl -u intellirouter-chain-engine" in found["intellirouter-chain-engine.service"].advice
    assert found["clock"].level is Level.WARNING


@pytest.mark.parametrize(
    "script", ["echo 'System has not been booted with systemd' >&2; exit 1", "sleep 60", "exit 0"]
)
async def test_without_systemd_there_is_nothing_to_say(
    script: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("systemctl", "timedatectl"):
        program(tmp_path, name, script)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    began = time.monotonic()
    assert await services(0.5) == []
    assert time.monotonic() - began < 20


@pytest.mark.parametrize(
    ("written", "told"),
    [
        (b"one\napi_key=abcdefghijkl\n", ["one", "api_key=********"]),
        (b"y" * logs.TAIL + b"\nend\n", ["end"]),
        (b"x\n" * 2_500, ["x"] * 2_000),
        (None, ["LOG: No such file or directory"]),
    ],
    ids=["secret", "bytes", "lines", "missing"],
)
def test_a_bundle_holds_the_end_of_the_log_without_secrets(
    written: bytes | None, told: list[str], tmp_path: Path
) -> None:
    log = tmp_path / "node.log"
    if written is not None:
        log.write_bytes(written)
    assert log_tail(log, Redactor([])).replace(str(log), "LOG").splitlines() == told
    assert log_tail(None, Redactor([])) == ""


@contextlib.contextmanager
def answering(status: int, body: bytes, **headers: str) -> Iterator[tuple[str, list[str]]]:
    """The address of a server that always says this, and the keys it was shown."""
    seen: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            key = (self.headers.get("authorization") or "").removeprefix("Bearer ")
            seen.append(key)
            known = key != "sk-refused"
            said = body if known else b'{"error": {"message": "Incorrect API key: sk-refused"}}'
            self.send_response_only(status if known else 401)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", seen
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("apart", "level", "said"),
    [(0, Level.OK, "HTTP 200"), (100, Level.WARNING, "ahead of ours"), (-100, Level.WARNING, "behind ours")],
)
async def test_clocks_that_are_apart_are_told(apart: int, level: Level, said: str) -> None:
    with answering(200, b"{}", date=formatdate(time.time() + apart, usegmt=True)) as (url, _):
        found = await reach(Place("Router", url, path="/health/live"), 5)
    assert (found.level, said in found.message) == (level, True)


async def test_how_long_an_answer_took_is_told_in_milliseconds(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = itertools.count(5.0, 0.25)
    monkeypatch.setattr("intellirouter.ops.diagnose.network.time.perf_counter", lambda: next(clock))
    with answering(200, b"{}") as (url, _):
        found = await reach(Place("Router", url, path="/health/live"), 5)
    assert " answers in 250 ms, HTTP 200" in found.message


async def test_each_key_of_a_provider_is_shown_to_it(tmp_path: Path) -> None:
    listed = json.dumps({"object": "list", "data": [{"id": "a", "object": "model"}] * 3}).encode()
    with answering(200, listed) as (url, seen):
        section = ProviderSection(
            name="house",
            kind="openai_compatible",
            endpoint=f"{url}/v1",
            api_keys=("sk-taken", "sk-refused"),  # type: ignore[arg-type]
        )
        transport = make_transport("fast", max_connections=2)
        found = await examine_provider(provider_of(section, ADAPTERS), transport, 5)
        await transport.aclose()
    assert seen == ["sk-taken", "sk-refused"]
    by_name = {one.name: one for one in found}
    assert by_name["provider house"].level is Level.OK
    assert by_name["provider house, key 1 of 2"].message == "takes the key, lists 3 models"
    refused = by_name["provider house, key 2 of 2"]
    assert refused.level is Level.PROBLEM
    assert "refuses this key" in refused.message
    assert "sk-refused" not in refused.message + refused.advice


@pytest.mark.parametrize(
    ("status", "body", "level", "said"),
    [
        (429, b'{"error": {"message": "slow"}}', Level.WARNING, "limit"),
        (404, b"{}", Level.WARNING, "lists no models"),
        (200, b"<html>", Level.WARNING, "lists no models"),
    ],
)
async def test_a_provider_that_lists_nothing_is_told(
    status: int, body: bytes, level: Level, said: str
) -> None:
    with answering(status, body) as (url, _):
        section = ProviderSection(name="house", kind="openai_compatible", endpoint=f"{url}/v1")
        transport = make_transport("fast", max_connections=2)
        found = await examine_provider(provider_of(section, ADAPTERS), transport, 5)
        await transport.aclose()
    assert (found[-1].level, said in found[-1].message) == (level, True)


async def test_runs_under_way_are_counted_in_a_file_and_on_postgres(tmp_path: Path) -> None:
    section = ChainEngineSection()
    assert await runs(section, tmp_path, 5) == []
    with postgres() as url:
        shared = ChainEngineSection(database_url=url)  # type: ignore[arg-type]
        (found,) = await runs(shared, tmp_path, 10)
        assert (found.level, "not made yet" in found.message) == (Level.OK, True)
        for kept, where in ((f"sqlite:///{tmp_path}/chains.db", section), (url, shared)):
            async with opened(kept, Worker(ports(Model(support)))) as runtime:
                await runtime.start(chain(SUPPORT), {"question": "why?"})  # waits for an approval
                (found,) = await runs(where, tmp_path, 10)
            assert (found.level, "1 under way" in found.message) == (Level.OK, True)
    (found,) = await runs(shared, tmp_path, 10)
    assert (found.level, "does not answer" in found.message) == (Level.PROBLEM, True)
    (tmp_path / "chains.db").write_bytes(b"no database, " * 100)
    (found,) = await runs(section, tmp_path, 5)
    assert found.level is Level.PROBLEM


def test_documents_that_failed_are_told(tmp_path: Path) -> None:
    assert documents(tmp_path) == []
    (tmp_path / "rag").mkdir()
    with contextlib.closing(sqlite3.connect(tmp_path / "rag/catalog.sqlite3")) as db:
        db.executescript(catalog.SCHEMA + catalog_jobs.SCHEMA)
        db.execute(
            "insert into collections (id, tenant, name, model, created) values ('c', 't', 'n', 'm', 0)"
        )
        words = "insert into documents values (?, 'c', ?, '', 0, ?, null, '{}', 0)"
        db.executemany(words, [("1", "a", "ready"), ("2", "b", "failed")])
        db.commit()
        (found,) = documents(tmp_path)
    assert found.level is Level.WARNING
    assert found.message == "2 documents in 1 collection, 0 jobs under way, 1 failed"
    (tmp_path / "rag/catalog.sqlite3").write_bytes(b"no database, " * 100)
    (found,) = documents(tmp_path)
    assert found.level is Level.PROBLEM
