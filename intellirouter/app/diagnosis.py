"""What only the roles know of a node: its ports, its embedding model, its persona files. For `intellirouter diagnose`."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from intellirouter.app.listening import PRIVILEGED, no_address, port_of
from intellirouter.app.node_files import NodeFile, running
from intellirouter.app.roles import RoleEntry, enabled
from intellirouter.config.load import Loaded
from intellirouter.config.schema.settings import Settings
from intellirouter.errors import IntelliRouterError
from intellirouter.ops.diagnose.finding import Finding, Level
from intellirouter.ops.diagnose.guard import guarded, guarded_now
from intellirouter.roles.persona_layer.source import EXTENSIONS, parse
from intellirouter.roles.rag_manager.embedding.files import LOCAL_MODEL, complete, find_model

MAX_BODY = 1 << 20


async def roles(
    loaded: Loaded, entries: Sequence[RoleEntry], deadline: float, *, by_unit: bool = False
) -> list[Finding]:
    """Findings on the roles that this configuration starts; `by_unit`: systemd does, and may give more rights than are seen here."""
    settings = loaded.settings
    here = enabled(entries, settings)
    names = {entry.name for entry in here}
    found: list[Finding] = []
    if "RagManager" in names:
        needed = names == {"RagManager"} or (settings.paths.data_dir / "rag/catalog.sqlite3").exists()
        found += guarded_now("install", "embedding model", lambda: _embedding(settings, needed=needed))
    if "PersonaLayer" in names:
        found += guarded_now("install", "personas", lambda: _personas(settings))
    own = {name: url for node in _running(settings.paths.data_dir) for name, url in node.roles.items()}
    for entry in here:
        if entry.name not in own:
            host, port = settings.server.host, port_of(entry, loaded, alone=len(here) == 1)
            wrong = await asyncio.to_thread(_unbound, entry.name, host, port, by_unit=by_unit)
            if wrong is not None:
                found.append(wrong)
                continue
        check = _listening(loaded, entry, own.get(entry.name), len(here) == 1, deadline)
        found += await guarded("services", entry.name, check)
    return found


def _running(data_dir: Path) -> list[NodeFile]:
    try:
        return running(data_dir)
    except OSError:  # told by the check of the directory
        return []


def _embedding(settings: Settings, *, needed: bool) -> Iterator[Finding]:
    """The local embedding model, and the local model that judges passages, where they are asked for.

    On a laptop that has never seen a document its absence is no fault.
    """
    rag = settings.rag
    if "/" not in rag.embedding_model:
        try:
            place = find_model(settings.paths.data_dir, rag.embedding_model, rag.embedding_model_path)
        except IntelliRouterError as error:
            advice = f"intellirouter models pull {LOCAL_MODEL}, as the user of the node; without it nothing is ingested."
            yield Finding(
                "install",
                "embedding model",
                Level.PROBLEM if needed else Level.OK,
                error.message.split(" Run: ")[0],
                advice,
            )
        else:
            yield Finding("install", "embedding model", Level.OK, f"{rag.embedding_model} in {place}")
    else:
        yield Finding("install", "embedding model", Level.OK, f"{rag.embedding_model}, by the Router")
    if rag.rerank_path is not None and not complete(rag.rerank_path):
        told = f"rag.rerank_path: {rag.rerank_path} does not hold model.onnx and tokenizer.json"
        yield Finding(
            "install", "rerank model", Level.PROBLEM, told, "Put both files there, or correct the path."
        )


def _personas(settings: Settings) -> Iterator[Finding]:
    """Whether each persona file holds."""
    folder = settings.persona_layer.personas_path or settings.paths.data_dir / "personas"
    if not folder.is_dir():
        if settings.persona_layer.personas_path is not None:
            told = f"persona_layer.personas_path: {folder} is no directory"
            yield Finding("install", "personas", Level.PROBLEM, told, "Make it, or correct the path.")
        return
    files = [file for file in sorted(folder.iterdir()) if file.suffix in EXTENSIONS and file.is_file()]
    held = 0
    for file in files:
        try:
            parse(file.read_text(encoding="utf-8"), file.suffix, file.stem)
        except (IntelliRouterError, OSError, UnicodeDecodeError) as error:
            told = error.message if isinstance(error, IntelliRouterError) else _plain(error)
            advice = "Correct the file; the version before it stays in force meanwhile."
            yield Finding("install", f"persona {file.name}", Level.PROBLEM, f"{file}: {told}", advice)
        else:
            held += 1
    told = (
        f"{held} of {len(files)} hold in {folder}" if files else f"none beside those that ship, in {folder}"
    )
    yield Finding("install", "personas", Level.OK, told)


def _plain(error: OSError | UnicodeDecodeError) -> str:
    return error.strerror or "cannot be read" if isinstance(error, OSError) else "is not UTF-8 text"


async def _listening(
    loaded: Loaded, entry: RoleEntry, own: str | None, alone: bool, deadline: float
) -> list[Finding]:
    """Who has the role's port: this node, which is then asked how it does, somebody else, or nobody.

    `own` is where this node says that the role listens, while it runs.
    """
    settings = loaded.settings
    host, port = settings.server.host, port_of(entry, loaded, alone=alone)
    if own is not None:
        port = urlsplit(own).port or port
    near = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  compared, not bound
    if port == 0:
        return []
    where = f"{near}:{port}"
    secure = settings.server.tls is not None or settings.ipc.security.certificate is not None
    try:
        async with asyncio.timeout(deadline):
            reader, writer = await asyncio.open_connection(near, port)
    except (OSError, TimeoutError):
        return [Finding("services", entry.name, Level.OK, f"not running: nothing listens on {where}")]
    try:
        async with asyncio.timeout(deadline):
            body = b"" if secure else await _health(reader, writer, where)
    except (OSError, TimeoutError):
        body = b""
    finally:
        writer.close()
    if secure:
        return [Finding("services", entry.name, Level.OK, f"{where} is taken, over TLS")]
    report = _report(body)
    if report is None:
        advice = "Stop it, or give the role another port: [roles] and [server] port."
        holder = _holder(port)
        return [
            Finding(
                "services",
                entry.name,
                Level.PROBLEM,
                f"{where} is taken by {holder}, not by IntelliRouter",
                advice,
            )
        ]
    if own is None:
        told = f"{where} is another node's, with another data directory; this one does not run"
        return [
            Finding("services", entry.name, Level.WARNING, told, "Give one of them other ports, or stop it.")
        ]
    return list(_told(entry.name, where, report))


def _unbound(name: str, host: str, port: int, *, by_unit: bool) -> Finding | None:
    """Why a node that does not run could not have this address; None where it could, or where somebody has it."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as one:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            one.bind(address)
    except PermissionError:
        told = f"{host}:{port} cannot be listened on by the user who asks: ports below 1024 are for root"
        return None if by_unit else Finding("services", name, Level.PROBLEM, told, PRIVILEGED)
    except OSError as error:
        if why := no_address(host, error):
            return Finding(
                "services",
                name,
                Level.PROBLEM,
                f"cannot listen on {host}:{port}: {why}",
                "Correct [server] host.",
            )
    return None


async def _health(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, where: str) -> bytes:
    writer.write(f"GET /health HTTP/1.1\r\nhost: {where}\r\nconnection: close\r\n\r\n".encode("latin-1"))
    await writer.drain()
    whole = b""
    while len(whole) < MAX_BODY and (piece := await reader.read(65_536)):
        whole += piece
    return whole.partition(b"\r\n\r\n")[2]


def _report(body: bytes) -> dict[str, object] | None:
    """What /health of ours says, or None for anything else."""
    start = body.find(b"{")
    try:
        report = json.loads(body[start : body.rfind(b"}") + 1]) if start >= 0 else None
    except ValueError:
        return None
    return report if isinstance(report, dict) and "role" in report and "status" in report else None


def _told(name: str, where: str, report: dict[str, object]) -> Iterator[Finding]:
    """The node's own words: each part that is not well."""
    other = report["role"]
    if other != name:
        advice = "Two roles want one port: set [roles] and [server] port."
        yield Finding("services", name, Level.PROBLEM, f"{where} is the {other}'s", advice)
        return
    draining = ", drained: no new requests" if report.get("draining") else ""
    level = Level.WARNING if draining else Level.OK
    yield Finding(
        "services",
        name,
        level,
        f"{report['status']} on {where}{draining}",
        "intellirouter drain --undo" if draining else "",
    )
    parts = report.get("parts")
    for part, facts in parts.items() if isinstance(parts, dict) else ():
        status = facts.get("status") if isinstance(facts, dict) else None
        if status in ("degraded", "unhealthy"):
            level = Level.WARNING if status == "degraded" else Level.PROBLEM
            told = f"says {status}: {facts.get('reason') or 'no reason'}"
            yield Finding("services", f"{name} {part}", level, told, "The findings below name the cause.")


def _holder(port: int) -> str:
    """Who listens there, as far as this user may know."""
    try:
        for connection in psutil.net_connections("inet"):
            if (
                connection.status == psutil.CONN_LISTEN
                and connection.laddr[1:2] == (port,)
                and connection.pid
            ):
                return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
    except (psutil.Error, OSError):
        pass
    return "another program"


def role_of(file: Path | None, entries: Sequence[RoleEntry]) -> tuple[RoleEntry, ...]:
    """The one role whose installed file this is, else all of `entries`."""
    own = tuple(entry for entry in entries if file is not None and entry.file == file.name)
    return own or tuple(entries)
