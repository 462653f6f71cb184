"""Whether what this node talks to can be reached: name, connection, TLS and certificate, an answer."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
import threading
import time
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import msgspec

from intellirouter.ops.diagnose.finding import Finding, Level

EXPIRY_WARNING = 21 * 86_400
"""Seconds before a certificate's end at which to warn."""
SKEW_WARNING = 10.0
"""Seconds that two clocks may be apart: what nodes say to one another is dated."""
MOST_HEADERS = 100
MOST_BODY = 4096


@dataclass(frozen=True, slots=True)
class Place:
    """Something on the network. `path` is asked over HTTP when given; `optional` makes its absence no fault.

    `role` says that it is a role of ours; `ours` that `path` is there, and where it is not something else answers.
    """

    name: str
    url: str
    path: str = ""
    optional: bool = False
    ca: str | None = None
    role: str | None = None
    ours: bool = False


async def reach(place: Place, deadline: float) -> Finding:
    """One finding on one place, within `deadline` seconds."""
    url = urlsplit(place.url)
    host = url.hostname or ""
    port = url.port or {"https": 443, "rediss": 6379, "redis": 6379}.get(url.scheme, 80)
    where = f"{host}:{port}"
    bad = Level.OK if place.optional else Level.PROBLEM
    step = "resolve the name"
    try:
        async with asyncio.timeout(deadline):
            started = time.perf_counter()
            address = await _resolve(host, port)
            step = "connect"
            secure = (
                ssl.create_default_context(cafile=place.ca)
                if url.scheme in {"https", "rediss", "tls"}
                else None
            )
            reader, writer = await asyncio.open_connection(address, port)
            if secure is not None:
                step = "agree on TLS"
                try:
                    await writer.start_tls(secure, server_hostname=host)
                except BaseException:
                    writer.transport.abort()
                    raise
            took = (time.perf_counter() - started) * 1000
            try:
                certificate = writer.get_extra_info("peercert") or {}
                step = "answer"
                answer, date, body = (
                    await _ask(reader, writer, where, place.path) if place.path else ("", None, b"")
                )
            finally:
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()
    except TimeoutError:
        return Finding(
            "network", place.name, bad, f"{where} did not {step} within {deadline:g} s", _advice(step)
        )
    except ssl.SSLCertVerificationError as error:
        message = f"{where}: its certificate is refused: {error.verify_message}"
        return Finding(
            "network", place.name, bad, message, "Renew it, or name its authority (SSL_CERT_FILE)."
        )
    except OSError as error:
        message = f"{where}: cannot {step} ({_reason(error)})"
        if step == "agree on TLS":
            message = f"{where}: does not speak TLS ({_reason(error)})"
        return Finding("network", place.name, bad, message, _advice(step))
    if (place.ours or place.role) and place.path and (wrong := _wrong(place, answer, body)):
        told = f"{where} answers in {took:.0f} ms, {answer} to {place.path}, {wrong[0]}"
        return Finding("network", place.name, bad, told, wrong[1])
    found = _good(place, where, took, certificate.get("notAfter"), answer, date)
    return msgspec.structs.replace(found, place=place.url)


def _wrong(place: Place, answer: str, body: bytes) -> tuple[str, str] | None:
    """Why what answers is not what was meant, and what helps; None where it may be."""
    if answer in ("HTTP 401", "HTTP 403"):
        return (
            "it wants to know who asks",
            "Name the credentials that it asks for, or the address behind whatever asks for them.",
        )
    if answer == "no HTTP" or answer.startswith(("HTTP 3", "HTTP 4")):
        return (
            "so something else is there",
            f"Correct the address of the {place.name}: no path, and no proxy's that leads elsewhere.",
        )
    if place.role is None or answer != "HTTP 200":
        return None
    try:
        said = msgspec.json.decode(body)
        role = said.get("role") if isinstance(said, dict) else None
    except (msgspec.DecodeError, RecursionError):
        role = None
    if role == place.role:
        return None
    told = f"it is the {role}'s" if isinstance(role, str) else "it is no IntelliRouter"
    return told, f"Correct the address of the {place.role} under [ipc]."


def _good(place: Place, where: str, took: float, end: object, answer: str, date: datetime | None) -> Finding:
    message = f"{where} answers in {took:.0f} ms" + (f", {answer}" if answer else "")
    if answer.startswith("HTTP 5"):
        advice = f"Ask it why: curl {place.url}/health"
        return Finding("network", place.name, Level.PROBLEM, message, advice)
    if date is not None and abs(ahead := date.timestamp() - time.time()) > SKEW_WARNING:
        message += f", its clock is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} ours"
        return Finding("network", place.name, Level.WARNING, message, "timedatectl, here and there.")
    if isinstance(end, str):
        left = ssl.cert_time_to_seconds(end) - time.time()
        message += f", certificate valid for {left / 86_400:.0f} days"
        if left < EXPIRY_WARNING:
            return Finding("network", place.name, Level.WARNING, message, "Renew the certificate.")
    return Finding("network", place.name, Level.OK, message)


def _reason(error: OSError) -> str:
    """The system's words; a resolver's number is no errno, but its error carries the text."""
    if error.errno and not isinstance(error, (socket.gaierror, ssl.SSLError)):
        return os.strerror(error.errno)
    return error.strerror or str(error)


def _advice(step: str) -> str:
    return {
        "resolve the name": "Check the name in the configuration, and /etc/resolv.conf.",
        "connect": "Is it running there, and does a firewall let this node through?",
        "agree on TLS": "Look at its own log. Where it speaks no TLS, switch that on, or write the address without the s (http://, redis://).",
    }.get(step, "It accepts connections and says nothing: look at its own log.")


async def _ask(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, path: str
) -> tuple[str, datetime | None, bytes]:
    """`HTTP 200`, from the first line of the answer, its date, and the first bytes of its body."""
    writer.write(
        f"GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n".encode("latin-1", "replace")
    )
    line = await reader.readline()
    words = line.split(b" ", 2)
    if len(words) < 2 or not words[0].startswith(b"HTTP/") or not words[1].isdigit():
        return "no HTTP", None, b""
    date = None
    for _ in range(MOST_HEADERS):
        line = await reader.readline()
        if not line.strip():
            break
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"date":
            with contextlib.suppress(ValueError):
                date = parsedate_to_datetime(value.decode("latin-1").strip())
    return f"HTTP {int(words[1])}", date, await reader.read(MOST_BODY)


async def _resolve(host: str, port: int) -> str:
    """The first address. In a thread of its own: the system's resolver cannot be called off, and nobody waits for it."""
    loop = asyncio.get_running_loop()
    found: asyncio.Future[str] = loop.create_future()

    def settle(address: str | None, error: OSError | None) -> None:
        if found.done():
            return
        if error is not None:
            found.set_exception(error)
        else:
            found.set_result(address or "")

    def work() -> None:
        address: str | None = None
        failure: OSError | None = None
        try:
            address = str(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][4][0])
        except OSError as error:
            failure = error
        except UnicodeError:  # a label that is empty or too long
            failure = OSError(0, "this is no host name")
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, address, failure)

    threading.Thread(target=work, name="resolve", daemon=True).start()
    return await found
