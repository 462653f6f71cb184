"""Sending requests: closed loop with wrk (as many as go), open loop at a fixed rate with a generator of our own."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from intellirouter.errors import UpstreamError
from intellirouter.providers.adapter import HttpRequest
from intellirouter.transport.contract import Deadlines
from intellirouter.transport.fast.client import FastTransport
from scripts.benchmarks.servers import KEY, LOAD_CORE, Running, pinned

JSON_TYPE = ("content-type", "application/json")
HEADERS = (JSON_TYPE, ("authorization", f"Bearer {KEY}"))
Headers = tuple[tuple[str, str], ...]
_UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}


@dataclass(frozen=True, slots=True)
class Closed:
    """A closed-loop run. Latencies in milliseconds, CPU of the server in microseconds per request."""

    rate: float
    p50_ms: float
    p99_ms: float
    failed: int
    cpu_us: float


def closed_loop(
    server: Running,
    path: str,
    body: bytes,
    directory: Path,
    *,
    seconds: float,
    connections: int = 32,
    keys: Sequence[str] = (KEY,),
    more: Headers = (),
) -> Closed:
    """As many requests as `connections` can make, with the API `keys` in turn and `more` headers."""
    before = server.cpu_seconds()
    (directory / "body").write_bytes(body)
    (directory / "keys").write_text("\n".join(keys) + "\n")
    run = _wrk if shutil.which("wrk") else _own
    rate, p50, p99, count, failed = run(server.url(path), directory, seconds, connections, more)
    return Closed(rate, p50, p99, failed, (server.cpu_seconds() - before) / max(count, 1) * 1e6)


_LUA = """
wrk.method = "POST"
{headers}
wrk.body = io.open("{directory}/body"):read("*a")
local requests, turn = {{}}, 0
function init()
  for key in io.lines("{directory}/keys") do
    wrk.headers["authorization"] = "Bearer " .. key
    requests[#requests + 1] = wrk.format()
  end
end
function request()
  turn = turn % #requests + 1
  return requests[turn]
end
"""


def _wrk(
    url: str, directory: Path, seconds: float, connections: int, more: Headers
) -> tuple[float, float, float, int, int]:
    lines = "\n".join(f'wrk.headers["{name}"] = "{value}"' for name, value in (JSON_TYPE, *more))
    script = directory / "post.lua"
    script.write_text(_LUA.format(headers=lines, directory=directory))
    command = [
        "wrk",
        "-t1",
        f"-c{connections}",
        f"-d{max(1, round(seconds))}",
        "--latency",
        "--timeout",
        "20s",
    ]
    out = subprocess.run(
        pinned([*command, "-s", str(script), url], LOAD_CORE), capture_output=True, text=True, check=True
    ).stdout

    def milliseconds(share: str) -> float:
        found = re.search(rf"{share}%\s+([\d.]+)(us|ms|s|m)\b", out)
        return float(found[1]) * _UNITS[found[2]] if found else float("nan")

    def number(pattern: str) -> float:
        found = re.search(pattern, out)
        return float(found[1]) if found else 0.0

    failed = int(number(r"Non-2xx or 3xx responses: (\d+)"))
    failed += sum(
        int(n) for line in re.findall(r"Socket errors: (.*)", out) for n in re.findall(r"\d+", line)
    )
    return (
        number(r"Requests/sec:\s+([\d.]+)"),
        milliseconds("50"),
        milliseconds("99"),
        int(number(r"(\d+) requests in")),
        failed,
    )


def _own(
    url: str, directory: Path, seconds: float, connections: int, more: Headers
) -> tuple[float, float, float, int, int]:
    """The same without wrk, in a process of its own on the load's core. Slower: its rates are lower bounds."""
    command = [sys.executable, "-m", "scripts.benchmarks.load", url, str(directory), json.dumps(more)]
    out = subprocess.run(
        pinned([*command, str(seconds), str(connections)], LOAD_CORE),
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    return float(out[0]), float(out[1]), float(out[2]), int(out[3]), int(out[4])


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` percent do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share / 100))] if ordered else float("nan")


async def open_loop(
    url: str, body: bytes, *, rate: float, seconds: float, more: Headers = ()
) -> tuple[list[float], int]:
    """Latencies in milliseconds, each from the time its request was due (so a stall counts for all that it delays)."""
    transport = FastTransport()
    headers = (*HEADERS, *more)
    latencies: list[float] = []
    failed = 0

    async def one(due: float) -> None:
        nonlocal failed
        if await _request(transport, url, body, headers):
            latencies.append((time.perf_counter() - due) * 1e3)
        else:
            failed += 1

    await _request(transport, url, body, headers)
    began = time.perf_counter() + 0.05
    async with asyncio.TaskGroup() as sending:
        for index in range(int(rate * seconds)):
            due = began + index / rate
            if (wait := due - time.perf_counter()) > 0:
                await asyncio.sleep(wait)
            sending.create_task(one(due))
    await transport.aclose()
    return latencies, failed


async def hold_streams(
    url: str, body: bytes, count: int, all_open: Callable[[], None]
) -> tuple[list[float], int]:
    """Open `count` streams, a thousand a second, and read each to its end. `all_open` is called when each has had its first bytes.

    The times to those first bytes in milliseconds, and the streams that failed or ended without `[DONE]`.
    """
    transport = FastTransport(max_connections=count)
    firsts: list[float] = []
    failed = 0

    async def one(index: int) -> None:
        nonlocal failed
        await asyncio.sleep(index / 1000)
        began = time.perf_counter()
        tail = b""
        try:
            reply = await transport.send(HttpRequest("POST", url, HEADERS, body), Deadlines(connect=60))
            async for data in reply.chunks():
                if not tail:
                    firsts.append((time.perf_counter() - began) * 1e3)
                    if len(firsts) == count:
                        all_open()
                tail = (tail + data)[-20:]
            reply.close()
        except UpstreamError:
            tail = b""
        failed += not tail.endswith(b"data: [DONE]\n\n")

    await asyncio.gather(*[one(index) for index in range(count)])
    await transport.aclose()
    return firsts, failed


async def _request(transport: FastTransport, url: str, body: bytes, headers: Headers = HEADERS) -> bool:
    try:
        reply = await transport.send(HttpRequest("POST", url, headers, body), Deadlines())
        try:
            await reply.read(1 << 24)
        finally:
            reply.close()
    except UpstreamError:
        return False
    return reply.status == 200


async def _closed(url: str, directory: Path, more: Headers, seconds: float, connections: int) -> None:
    transport = FastTransport()
    body = (directory / "body").read_bytes()
    every = [
        (JSON_TYPE, *more, ("authorization", f"Bearer {key}"))
        for key in (directory / "keys").read_text().split()
    ]
    headers = itertools.cycle(every)
    latencies: list[float] = []
    failed = 0
    end = time.perf_counter() + seconds

    async def worker() -> None:
        nonlocal failed
        while (began := time.perf_counter()) < end:
            if await _request(transport, url, body, next(headers)):
                latencies.append((time.perf_counter() - began) * 1e3)
            else:
                failed += 1

    await asyncio.gather(*[worker() for _ in range(connections)])
    await transport.aclose()
    count = len(latencies) + failed
    print(count / seconds, percentile(latencies, 50), percentile(latencies, 99), count, failed)


if __name__ == "__main__":
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(
            _closed(
                sys.argv[1],
                Path(sys.argv[2]),
                tuple((name, value) for name, value in json.loads(sys.argv[3])),
                float(sys.argv[4]),
                int(sys.argv[5]),
            )
        )
