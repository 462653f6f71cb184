"""Log lines that leave the node, to real servers and to such that behave badly."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import socket
import ssl
import threading
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
import structlog
import trustme
from aiohttp import web
from aiohttp.test_utils import TestServer
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as messages
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2_grpc as services

from intellirouter.app.node import prepare_logs
from intellirouter.config.schema.settings import Settings
from intellirouter.config.shown import MASK
from intellirouter.errors import ConfigError
from intellirouter.telemetry.access import AccessLog
from intellirouter.telemetry.shipping import handler as shipping_handler
from intellirouter.telemetry.shipping import opening
from intellirouter.telemetry.shipping import outlet as outlets
from intellirouter.telemetry.shipping.counting import ShippingCollector
from intellirouter.telemetry.shipping.entry import Entry, entry_of
from intellirouter.telemetry.shipping.handler import Shipping, running
from intellirouter.telemetry.tracing import span
from tests.servers.log_servers import journal_socket, journald, rsyslog, until
from tests.servers.ports import free_port

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


class HttpPlace:
    """Takes POSTs; `answers` are the statuses of the first ones, 204 of all later. Bodies are kept as they were read."""

    def __init__(self, *answers: int, headers: dict[str, str] | None = None, body: bytes = b"") -> None:
        self.answers = list(answers)
        self.bodies: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self.asked = 0
        self._extra = headers or {}
        self._body = body
        app = web.Application(client_max_size=1 << 26)
        app.router.add_route("*", "/{path:.*}", self._take)
        self.server = TestServer(app)

    async def _take(self, request: web.Request) -> web.Response:
        self.asked += 1
        body = await request.read()  # aiohttp undoes the gzip
        status = self.answers.pop(0) if self.answers else 204
        if status < 300:
            self.bodies.append(body)
            self.headers.append({**request.headers, ":path": request.path})
        return web.Response(
            status=status, headers=self._extra if status >= 300 else {}, body=self._body or None
        )

    @property
    def url(self) -> str:
        return str(self.server.make_url("")).rstrip("/")

    def loki(self) -> list[dict[str, Any]]:
        """The lines that came, each with its stream's labels."""
        return [
            {**json.loads(value[1]), ":labels": stream["stream"], ":about": value[2]}
            for body in self.bodies
            for stream in json.loads(body)["streams"]
            for value in stream["values"]
        ]

    def records(self) -> list[Any]:
        found = [messages.ExportLogsServiceRequest.FromString(body) for body in self.bodies]
        return [
            one
            for part in found
            for resource in part.resource_logs
            for scope in resource.scope_logs
            for one in scope.log_records
        ]


@contextlib.asynccontextmanager
async def place(
    *answers: int, headers: dict[str, str] | None = None, body: bytes = b""
) -> AsyncIterator[HttpPlace]:
    found = HttpPlace(*answers, headers=headers, body=body)
    await found.server.start_server(access_log=None)
    yield found
    await found.server.close()


def settings(**telemetry: Any) -> Settings:
    return Settings.model_validate(
        {
            "telemetry": {"log_format": "json", "log_most_alike": 0, **telemetry},
            "memory": {"redis_password": "planted-redis-password"},
        }
    )


@pytest.fixture(autouse=True)
def own_logging(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The log of the process as it was, and tries that are near to one another."""
    monkeypatch.setattr(outlets, "FIRST_PAUSE", 0.02)
    monkeypatch.setattr(opening, "_REMOTE_LINGER", 0.1)
    root = logging.getLogger()
    before, level, configured = root.handlers[:], root.level, structlog.get_config()
    root.handlers[:] = []
    yield
    for one in root.handlers[:]:
        root.removeHandler(one)
        one.close()
    root.handlers[:] = before
    root.setLevel(level)
    structlog.configure(**configured)


def log() -> Any:
    return structlog.get_logger("tests.shipping")


def counts(name: str) -> outlets.Counts:
    found = running()
    assert found is not None
    (one,) = [outlet for outlet in found.outlets if outlet.name == name]
    return one.counts


class Traced:
    """A span that is recorded."""

    recorded = True
    trace_id = TRACE
    traceparent = f"00-{TRACE}-{SPAN}-01"


async def test_a_collector_over_http_has_the_log_with_its_traces(tmp_path: Path) -> None:
    async with place() as there:
        telemetry = {"otlp_endpoint": there.url, "otlp_protocol": "http", "otlp_logs": True}
        telemetry |= {
            "otlp_headers": {"Authorization": "Bearer of-the-collector"},
            "log_file": tmp_path / "l",
        }
        prepare_logs(settings(**telemetry), "Router")()
        token = span.enter(Traced())  # type: ignore[arg-type]  # as much of a span as a log needs
        log().warning("state.away", reason="planted-redis-password", tries=3)
        span.leave(token)
        logging.getLogger("some.library").error("said by %s", "a library")
        try:
            raise ValueError("wrong")
        except ValueError:
            log().exception("it.broke")
        access = AccessLog(enabled=True, json=True)
        access._held.append(
            (time.time(), {"role": "Router", "method": "GET", "status": 200, "trace_id": TRACE})
        )
        access.flush()
        records = await until(lambda: len(found := there.records()) >= 4 and found)
    away, library, broke, request = sorted(
        records,
        key=lambda one: ["state.away", "said by a library", "it.broke", "request"].index(
            one.body.string_value
        ),
    )
    assert (away.trace_id.hex(), away.span_id.hex(), away.severity_text) == (TRACE, SPAN, "WARN")
    assert request.trace_id.hex() == TRACE
    assert library.severity_text == "ERROR"
    assert any(
        "ValueError: wrong" in one.value.string_value
        for one in broke.attributes
        if one.key == "exception.stacktrace"
    )
    assert there.headers[0]["Authorization"] == "Bearer of-the-collector"
    assert there.headers[0][":path"] == "/v1/logs"
    assert b"planted-redis-password" not in b"".join(there.bodies)
    assert TRACE in (tmp_path / "l").read_text().splitlines()[0]


class GrpcPlace(services.LogsServiceServicer):
    def __init__(self) -> None:
        self.records: list[Any] = []
        self.metadata: dict[str, str] = {}
        self.refusals = [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED]

    async def Export(self, request: Any, context: Any) -> Any:  # noqa: N802  its name in the protocol
        if self.refusals:
            await context.abort(self.refusals.pop(0), "later\x1b[31m")
        self.metadata = dict(context.invocation_metadata())
        found = [
            one for part in request.resource_logs for scope in part.scope_logs for one in scope.log_records
        ]
        self.records += found
        if len(found) > 1:
            partly = messages.ExportLogsPartialSuccess(rejected_log_records=1, error_message="one too many")
            return messages.ExportLogsServiceResponse(partial_success=partly)
        return messages.ExportLogsServiceResponse()


async def test_a_collector_over_grpc_that_is_busy_at_first(tmp_path: Path) -> None:
    server, there = grpc.aio.server(), GrpcPlace()
    services.add_LogsServiceServicer_to_server(there, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        telemetry = {
            "otlp_endpoint": f"http://me:planted%2Dpassword@127.0.0.1:{port}",
            "otlp_logs": True,
            "otlp_headers": {"X-Key": "k"},
        }
        prepare_logs(settings(**telemetry, log_file=tmp_path / "l"), "")()
        log().info("one")
        log().info("two")
        await until(lambda: len(there.records) >= 2 and counts("otlp").refused)
        assert there.metadata["x-key"] == "k"
        assert there.metadata["authorization"] == f"Basic {b64encode(b'me:planted-password').decode()}"
        await until(
            lambda: (
                '"logs.back"' in (tmp_path / "l").read_text()
                or '"logs.refused"' in (tmp_path / "l").read_text()
            )
        )
        text = (tmp_path / "l").read_text()
        assert '"logs.away"' in text and "planted" not in text
    finally:
        await server.stop(None)


async def test_loki_has_streams_of_few_labels(tmp_path: Path) -> None:
    async with place(429, 503, headers={"Retry-After": "0"}) as there:
        loki = {
            "url": there.url,
            "tenant": "home",
            "username": "me",
            "password": "planted-loki-password",
            "labels": {"cluster": "home"},
        }
        prepare_logs(settings(loki=loki, log_file=tmp_path / "l"), "Router")()
        for number in range(300):
            log().info("tick", request_id=f"r{number}", number=number)
        log().warning("planted-loki-password", token="abc", trace_id=TRACE)
        lines = await until(lambda: len(found := there.loki()) >= 301 and found)
        assert there.asked >= 3  # asked for more time twice, and given it
    labels = [line[":labels"] for line in lines]
    assert {tuple(sorted(one)) for one in labels} == {("cluster", "host", "level", "role", "service_name")}
    assert len({json.dumps(one) for one in labels}) == 2
    ticks = [line for line in lines if line["event"] == "tick"]
    assert [line["number"] for line in ticks] == list(range(300))
    assert ticks[7][":about"] == {"request_id": "r7"}
    assert there.headers[0][":path"] == "/loki/api/v1/push"
    assert (there.headers[0]["X-Scope-OrgID"], there.headers[0]["Content-Encoding"]) == ("home", "gzip")
    assert there.headers[0]["Authorization"].startswith("Basic ")
    (warned,) = [line for line in lines if line["level"] == "warning" and line["logger"] == "tests.shipping"]
    assert (warned["event"], warned["token"], warned[":about"]) == (MASK, MASK, {"trace_id": TRACE})
    assert b"planted-" not in b"".join(there.bodies)


async def test_what_a_server_refuses_is_counted_and_said_once(tmp_path: Path) -> None:
    async with place(400, 400, body=b'line too old\x1b[31m "\n' + b"x" * 100_000) as there:
        prepare_logs(settings(loki={"url": there.url}, log_file=tmp_path / "l"), "")()
        log().info("one")
        await until(lambda: counts("loki").refused)
        text = await until(lambda: (found := (tmp_path / "l").read_text()).count("logs.refused") and found)
        assert "HTTP 400 line too old" in text
        assert len(text) < 3_000
        log().info("two")  # with the line on the first, which is refused with it
        await until(lambda: there.asked >= 3 or there.bodies)
        assert (tmp_path / "l").read_text().count("logs.refused") == 1
    families = {family.name: family for family in ShippingCollector().collect()}
    shipped = families["intellirouter_log_lines_shipped"].samples
    assert {(one.labels["to"], one.labels["result"]): one.value for one in shipped}["loki", "refused"] >= 1


async def test_the_journal_has_fields(tmp_path: Path) -> None:
    with journal_socket(tmp_path / "j") as entries:
        prepare_logs(
            settings(journald={"mode": "on", "socket": tmp_path / "j"}, log_file=tmp_path / "l"), "Router"
        )()
        log().warning("state.away", reason="one\ntwo", **{"Odd-Name.x": 1, "_private": 2, "ünïcode": 3})
        log().error("😀" * 70_000)  # more than a datagram holds: a file of memory
        await until(lambda: len(entries()) >= 2)
        away, large = entries()
    assert away["MESSAGE"] == 'state.away reason="one\\ntwo" Odd-Name.x=1 ünïcode=3'.encode()
    assert (away["PRIORITY"], away["IR_REASON"], away["IR_ODD_NAME_X"], away["IR_ROLE"]) == (
        b"4",
        b"one\ntwo",
        b"1",
        b"Router",
    )
    assert away["SYSLOG_PID"] == str(os.getpid()).encode()
    assert len(large["IR_EVENT"].decode()) > 60_000


@pytest.mark.skipif(os.geteuid() != 0, reason="a journal of its own namespace needs root")
async def test_the_real_journal_reads_it(tmp_path: Path) -> None:
    async with journald(tmp_path) as (path, entries):
        prepare_logs(settings(journald={"mode": "on", "socket": path}, log_file=tmp_path / "l"), "")()
        log().warning("state.away", reason="one\ntwo", number=7)
        log().error("😀" * 70_000)

        def found() -> list[dict[str, Any]]:
            return [one for one in entries() if one.get("SYSLOG_IDENTIFIER") == "intellirouter"]

        await until(lambda: len(found()) >= 2)
        away, large = found()
    assert (away["IR_EVENT"], away["PRIORITY"], away["IR_REASON"], away["IR_NUMBER"]) == (
        "state.away",
        "4",
        "one\ntwo",
        "7",
    )
    assert away["_TRANSPORT"] == "journal"
    assert large["IR_EVENT"].count("😀") > 60_000


async def test_where_standard_error_is_the_journal_a_line_is_there_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = settings(journald={"mode": "auto", "socket": tmp_path / "j"})
    monkeypatch.setenv("JOURNAL_STREAM", "1:2")
    with journal_socket(tmp_path / "j") as entries:
        prepare_logs(wanted, "")()  # another stream than this one
        assert running() is None
        assert len(logging.getLogger().handlers) == 1
        facts = os.fstat(2)
        monkeypatch.setenv("JOURNAL_STREAM", f"{facts.st_dev}:{facts.st_ino}")
        prepare_logs(wanted, "")()
        assert logging.getLogger().handlers == [running()]
        log().info("here")
        await until(entries)


async def test_rsyslog_reads_it_over_every_way(tmp_path: Path) -> None:
    async with rsyslog(tmp_path) as there:
        ways = {
            "unix": f"unix:{there.unix}",
            "udp": f"udp://127.0.0.1:{there.udp}",
            "tcp": f"tcp://127.0.0.1:{there.tcp}",
        }
        for name, address in ways.items():
            syslog = {"address": address, "facility": "local3", "identifier": "ir", "max_bytes": 2000}
            prepare_logs(settings(syslog=syslog, log_file=tmp_path / "l"), "Router")()
            log().error("state.away", way=name, reason='a]b"c\\d\nforged <0>1 - - - - - -', long="z" * 5000)
            log().error(f"{name} ümläut 😀")
        lines = await until(lambda: len(found := there.lines()) >= 6 and found)
    for name in ways:
        (away,) = [one for one in lines if f'way="{name}"' in one[6]]
        assert away[0] == str(19 * 8 + 3)
        assert (away[3], away[4], away[5]) == ("ir-router", str(os.getpid()), "state.away")
        assert r'reason="a\]b\"c\\d\\nforged <0>1' in away[6]
        assert away[7].startswith(f"state.away way={name}")
        assert any(one[7].endswith(f"{name} ümläut 😀") for one in lines)


async def test_syslog_over_tls_counts_octets_and_knows_its_server(tmp_path: Path) -> None:
    authority, other = trustme.CA(), trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    context.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(context)
    ours = authority.issue_cert("node@example.com")
    got = bytearray()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(1000):
                got.extend(data)
        writer.close()

    server = await asyncio.start_server(take, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    for name, one in (("ca", authority), ("other", other)):
        one.cert_pem.write_to_path(str(tmp_path / name))
    (tmp_path / "pair").write_bytes(ours.private_key_and_cert_chain_pem.bytes())
    common = {
        "address": f"tls://localhost:{port}",
        "certificate": tmp_path / "pair",
        "key": tmp_path / "pair",
    }
    async with server:
        prepare_logs(settings(syslog={**common, "ca": tmp_path / "other"}, log_file=tmp_path / "l"), "")()
        log().info("to nobody")
        await until(
            lambda: (
                "certificate verify failed" in (tmp_path / "l").read_text()
                or "self-signed" in (tmp_path / "l").read_text()
            )
        )
        assert not got
        prepare_logs(settings(syslog={**common, "ca": tmp_path / "ca"}, log_file=tmp_path / "l"), "")()
        log().info("to somebody", text="ü")
        await until(lambda: b"to somebody" in got)
        shipping_handler.finish()
    frames, rest = [], bytes(got)
    while rest:
        size, _, rest = rest.partition(b" ")
        frames.append(rest[: int(size)])
        rest = rest[int(size) :]
    assert all(one.startswith(b"<") for one in frames)
    assert b'text="\xc3\xbc"' in next(one for one in frames if b"to somebody" in one)


async def test_a_certificate_that_cannot_be_read_is_refused_before_anything_changes(tmp_path: Path) -> None:
    (tmp_path / "no").write_text("nothing")
    for syslog in (
        {"address": "tls://h", "ca": tmp_path / "away"},
        {"address": "tls://h", "ca": tmp_path / "no"},
    ):
        with pytest.raises(ConfigError, match=r"telemetry\.syslog\.ca: .* cannot be read"):
            prepare_logs(settings(syslog=syslog), "")
    pair = {"address": "tls://h", "certificate": tmp_path / "no", "key": tmp_path / "no"}
    with pytest.raises(ConfigError, match=r"telemetry\.syslog\.certificate"):
        prepare_logs(settings(syslog=pair), "")


@contextlib.asynccontextmanager
async def silent() -> AsyncIterator[int]:
    """A port that accepts and never reads."""
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        listening.bind(("127.0.0.1", 0))
        listening.listen(50)
        yield listening.getsockname()[1]


BAD = ["silent", "closed", "huge", "moved", "500"]


@pytest.mark.parametrize("kind", BAD)
async def test_a_bad_server_holds_nobody_and_costs_no_memory(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outlets, "MAX_LINES", 500)
    monkeypatch.setattr(outlets, "BATCH_LINES", 100)
    monkeypatch.setattr(shipping_handler, "FLUSH_SECONDS", 0.5)
    for module in ("web", "syslog", "otlp"):
        monkeypatch.setattr(f"intellirouter.telemetry.shipping.{module}.SECONDS", 0.3)
    async with contextlib.AsyncExitStack() as stack:
        if kind in {"silent", "closed"}:
            port = await stack.enter_async_context(silent()) if kind == "silent" else free_port()
            url = f"http://127.0.0.1:{port}"
        else:
            answers = {"huge": (200,) * 50, "moved": (302,) * 500, "500": (500,) * 500}[kind]
            extra = (
                {"Location": "http://127.0.0.1:1/elsewhere"} if kind == "moved" else {"Retry-After": "9" * 40}
            )
            there = await stack.enter_async_context(place(*answers, headers=extra, body=b"y" * (4 << 20)))
            url = there.url
            port = there.server.port or 0
        telemetry: dict[str, Any] = {
            "otlp_endpoint": url,
            "otlp_logs": True,
            "otlp_protocol": "grpc" if kind == "silent" else "http",
            "loki": {"url": url},
            "syslog": {"address": f"tcp://127.0.0.1:{port}", "max_bytes": 60_000},
            "log_file": tmp_path / "l",
        }
        prepare_logs(settings(**telemetry), "")()
        shipping = running()
        assert isinstance(shipping, Shipping)
        began = time.thread_time()
        for number in range(2_000):
            log().info("tick", number=number, text="x" * 500)
        assert time.thread_time() - began < 30
        for outlet in shipping.outlets:
            assert outlet.waiting <= 500
            if kind in {"closed", "silent", "500"} and outlet.name != "syslog":
                await until(lambda outlet=outlet: outlet.counts.dropped >= 500)  # type: ignore[misc]
            if kind in {"moved", "huge"} and outlet.name != "syslog":
                await until(
                    lambda outlet=outlet, kind=kind: (
                        outlet.counts.refused if kind == "moved" else outlet.counts.sent
                    )
                )  # type: ignore[misc]
        loop = asyncio.get_running_loop()
        await asyncio.wait_for(loop.run_in_executor(None, shipping_handler.finish), 60)
        await until(lambda: not shipping._thread.is_alive())
        assert all(outlet.waiting == 0 for outlet in shipping.outlets)


async def test_a_reload_while_lines_are_sent_loses_none(tmp_path: Path) -> None:
    async with place() as first, place() as second:
        wanted = settings(loki={"url": first.url}, log_file=tmp_path / "l")
        prepare_logs(wanted, "")()
        kept = running()
        written = 0
        for turn in range(10):
            for _ in range(50):
                log().info("tick", number=written)
                written += 1
            prepare_logs(wanted, "")()
            assert running() is kept  # nothing changed: the same queue and connection
            if turn == 5:
                prepare_logs(settings(loki={"url": second.url}, log_file=tmp_path / "l"), "")()
                wanted = settings(loki={"url": second.url}, log_file=tmp_path / "l")
                kept = running()
        await until(lambda: len(first.loki() + second.loki()) >= written)
        numbers = [line["number"] for line in first.loki() + second.loki()]
        assert sorted(numbers) == list(range(written))
        assert second.loki()
        prepare_logs(settings(log_file=tmp_path / "l"), "")()
        assert running() is None


async def test_the_last_lines_leave_at_the_end(tmp_path: Path) -> None:
    async with place() as there:
        with journal_socket(tmp_path / "j") as entries:
            telemetry = {
                "loki": {"url": there.url},
                "journald": {"mode": "on", "socket": tmp_path / "j", "level": "error"},
            }
            prepare_logs(settings(**telemetry, log_file=tmp_path / "l"), "")()
            for number in range(3_000):
                log().info("tick", number=number)
            log().error("last")
            await asyncio.get_running_loop().run_in_executor(None, shipping_handler.finish)
            assert [line["event"] for line in there.loki()][-1] == "last"
            assert len(there.loki()) == 3_001
            assert [entry["IR_EVENT"] for entry in entries()] == [b"last"]  # the level of its own


async def test_lines_that_nobody_can_send_hold_up_no_others() -> None:
    came: list[str] = []

    class Odd:
        async def send(self, batch: Sequence[Entry]) -> None:
            if any(entry.event == "odd form" for entry in batch):
                raise KeyError("nobody thought of this")
            came.extend(entry.event for entry in batch)

        async def aclose(self) -> None:
            """Nothing is open."""

    def clean(entry: Entry) -> Entry:
        if entry.event == "odd text":
            raise RecursionError
        return entry

    outlet = outlets.Outlet("odd", Odd(), clean, linger=0.0)
    sending = asyncio.create_task(outlet.run())
    for number, event in enumerate(("odd form", "odd text", "well")):
        outlet.offer(entry_of({"event": event}, 1))
        await until(lambda number=number: outlet.counts.refused + outlet.counts.sent == number + 1)  # type: ignore[misc]
    outlet.end()
    await asyncio.wait_for(sending, 60)
    assert came == ["well"] and outlet.counts == outlets.Counts(sent=1, refused=2)
    assert outlet.waiting == 0 and outlet.drop_rest() == 0


async def test_the_end_waits_for_no_name_that_is_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, answered = list[str](), threading.Event()

    def hangs(host: str, *_: object, **__: object) -> None:
        asked.append(host)
        answered.wait(60)
        raise socket.gaierror(socket.EAI_AGAIN, "no server of names")

    monkeypatch.setattr(shipping_handler, "FLUSH_SECONDS", 0.2)
    before = set(threading.enumerate())
    told = {"loki": {"url": "http://one.invalid:1"}, "syslog": {"address": "udp://two.invalid"}}
    prepare_logs(settings(**told), "Router")()
    monkeypatch.setattr(socket, "getaddrinfo", hangs)
    try:
        log().info("one")
        await until(lambda: {"one.invalid", "two.invalid"} <= set(asked))
        await asyncio.to_thread(shipping_handler.finish)
        left = {one for one in set(threading.enumerate()) - before if not one.name.startswith("asyncio")}
        assert left and all(one.daemon for one in left), left  # the interpreter's end waits for the others
    finally:
        answered.set()
