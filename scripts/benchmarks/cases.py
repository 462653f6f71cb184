"""What is measured. A case returns figures, and ratios in which more is better."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import uvloop

from scripts.benchmarks import servers
from scripts.benchmarks.load import closed_loop, hold_streams, open_loop, percentile
from scripts.benchmarks.servers import LOAD_CORE, STREAM_CHUNKS, Running

MB = 1e6
CHAT = "/v1/chat/completions"


@dataclass(slots=True)
class Result:
    """Of one case."""

    figures: dict[str, float] = field(default_factory=dict)
    ratios: dict[str, float] = field(default_factory=dict)


@dataclass(slots=True)
class Bench:
    """The servers side by side, and how long to measure."""

    directory: Path
    upstream: Running
    router: Running
    proxy: Running | None
    seconds: float
    rounds: int


def prompt(model: str, size: int = 5, *, stream: bool = False) -> bytes:
    """A chat request whose user turn has `size` characters."""
    text = ("Hello " * (size // 6 + 1))[:size]
    request: dict[str, object] = {"model": model, "messages": [{"role": "user", "content": text}]}
    if stream:
        request |= {"stream": True, "stream_options": {"include_usage": True}}
    return json.dumps(request).encode()


def side_by_side(bench: Bench, path: str, body: bytes, *, upstream_path: str | None = None) -> Result:
    """The best of a few rounds of each, taken in turn so that a disturbance meets all."""
    subjects: list[tuple[str, Running, str]] = [("upstream", bench.upstream, upstream_path or path)]
    if bench.proxy is not None:
        subjects.append(("nginx", bench.proxy, upstream_path or path))
    subjects.append(("router", bench.router, path))
    result = Result()
    figures = result.figures
    closed_loop(bench.router, path, body, bench.directory, seconds=1)  # warm
    for _ in range(bench.rounds):
        for name, server, its_path in subjects:
            run = closed_loop(server, its_path, body, bench.directory, seconds=bench.seconds)
            figures[f"{name}_failed"] = figures.get(f"{name}_failed", 0) + run.failed
            if run.rate > figures.get(f"{name}_rps", 0):
                figures |= {
                    f"{name}_rps": run.rate,
                    f"{name}_p50_ms": run.p50_ms,
                    f"{name}_p99_ms": run.p99_ms,
                }
            figures[f"{name}_cpu_us"] = min(run.cpu_us, figures.get(f"{name}_cpu_us", float("inf")))
    if bench.proxy is not None:
        result.ratios["router_to_nginx"] = figures["router_rps"] / figures["nginx_rps"]
        result.ratios["cpu_nginx_to_router"] = figures["nginx_cpu_us"] / figures["router_cpu_us"]
    else:
        result.ratios["router_to_upstream"] = figures["router_rps"] / figures["upstream_rps"]
    return result


def chat(bench: Bench) -> Result:
    """A short chat completion, 32 connections."""
    return side_by_side(bench, CHAT, prompt("chat"))


def chat_defaults(bench: Bench) -> Result:
    """The same by a Router as it comes: no keys, limits or budgets; circuits, access log and metrics on."""
    with servers.router(bench.directory, bench.upstream, policy=False) as plain:
        return side_by_side(replace(bench, router=plain), CHAT, prompt("chat"))


def relay(bench: Bench) -> Result:
    """What an aiohttp server and our transport do with nothing between them: the Router cannot be faster than that."""
    with servers.relay(bench.directory, bench.upstream) as bare:
        result = side_by_side(replace(bench, router=bare), CHAT, prompt("chat"))
        figures = {name.replace("router", "relay"): value for name, value in result.figures.items()}
        with bare.paused():
            whole = side_by_side(bench, CHAT, prompt("chat"))
    figures |= {name: value for name, value in whole.figures.items() if name.startswith("router")}
    share = {"router_to_relay": figures["router_rps"] / figures["relay_rps"]}
    return Result(figures, share)


def prompt_100k(bench: Bench) -> Result:
    """A prompt of 100 kB."""
    return side_by_side(bench, CHAT, prompt("chat", 100_000))


def prompt_1m(bench: Bench) -> Result:
    """A prompt of 1 MB."""
    return side_by_side(bench, CHAT, prompt("chat", 1_000_000))


def stream(bench: Bench) -> Result:
    """A streamed completion of 200 chunks, client and provider of one dialect."""
    result = side_by_side(bench, CHAT, prompt("stream", stream=True), upstream_path="/stream" + CHAT)
    result.figures["router_chunks_per_s"] = result.figures["router_rps"] * STREAM_CHUNKS
    return result


def added_latency(bench: Bench, rate: float) -> Result:
    """Open loop at a fixed rate: what the Router adds to the bare upstream's latency."""
    if len(servers.CORES) > 1:
        os.sched_setaffinity(0, {LOAD_CORE})
    result = Result()
    with (
        servers.relay(bench.directory, bench.upstream) as bare,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        for name, server in (("upstream", bench.upstream), ("relay", bare), ("router", bench.router)):
            best: tuple[float, float] = (float("inf"), float("inf"))
            for _ in range(bench.rounds):
                run = open_loop(server.url(CHAT), prompt("chat"), rate=rate, seconds=bench.seconds)
                latencies, failed = runner.run(run)
                best = min(best, (percentile(latencies, 99), percentile(latencies, 50)))
                result.figures[f"{name}_failed"] = result.figures.get(f"{name}_failed", 0) + failed
            result.figures |= {f"{name}_p50_ms": best[1], f"{name}_p99_ms": best[0]}
    os.sched_setaffinity(0, set(servers.CORES))
    for share in ("p50", "p99"):
        alone = result.figures[f"upstream_{share}_ms"]
        result.figures[f"added_{share}_ms"] = result.figures[f"router_{share}_ms"] - alone
        result.figures[f"added_by_relay_{share}_ms"] = result.figures[f"relay_{share}_ms"] - alone
    return result


def start_up(bench: Bench) -> Result:
    """Start to first answer, `--help`, and the memory of a Router that has done nothing."""
    result = Result()
    bare = min(_seconds([sys.executable, "-c", "pass"]) for _ in range(5))
    result.figures["python_s"] = bare
    result.figures["help_s"] = min(
        _seconds([sys.executable, "-m", "intellirouter", "--help"]) for _ in range(5)
    )
    firsts = []
    for _ in range(3):
        began = time.perf_counter()
        with servers.router(bench.directory, bench.upstream) as fresh:
            firsts.append(time.perf_counter() - began)
            result.figures["idle_rss_mb"] = fresh.rss_bytes() / MB
    result.figures["first_answer_s"] = min(firsts)
    result.ratios["python_to_help"] = bare / result.figures["help_s"]
    result.ratios["python_to_first_answer"] = bare / result.figures["first_answer_s"]
    return result


def memory(bench: Bench, requests: int) -> Result:
    """How the Router's memory grows over many requests."""
    result = Result()
    warm = closed_loop(bench.router, CHAT, prompt("chat"), bench.directory, seconds=5)
    before = bench.router.rss_bytes()
    seconds = max(1.0, requests / warm.rate)
    run = closed_loop(bench.router, CHAT, prompt("chat"), bench.directory, seconds=seconds)
    after = bench.router.rss_bytes()
    result.figures = {
        "requests": run.rate * seconds,
        "rss_before_mb": before / MB,
        "rss_after_mb": after / MB,
        "growth_percent": (after / before - 1) * 100,
        "failed": run.failed,
    }
    return result


def workers(bench: Bench) -> Result:
    """Two workers on two cores that they share with load and upstream: only more cores show the scaling."""
    with servers.router(bench.directory, bench.upstream, workers=2) as pair:
        for pid in (pair.pid, *servers.children_of(pair.pid)):
            os.sched_setaffinity(pid, set(servers.CORES))
        run = closed_loop(pair, CHAT, prompt("chat"), bench.directory, seconds=bench.seconds, connections=64)
        return Result({"router_rps": run.rate, "router_p99_ms": run.p99_ms, "router_failed": run.failed})


def slow_streams(bench: Bench, count: int) -> Result:
    """Many streams at once, each a piece a second: what they cost in memory while all are open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = min(count, (hard - 200) // 2)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2 * count + 200), hard))
    result = Result()
    try:
        with ExitStack() as stack:
            upstream = stack.enter_context(servers.python_upstream(bench.directory))
            router = stack.enter_context(servers.router(bench.directory, upstream))
            body = prompt("slow", stream=True)
            result.figures["idle_rss_mb"] = router.rss_bytes() / MB

            def all_open() -> None:
                result.figures["open_rss_mb"] = router.rss_bytes() / MB

            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                firsts, failed = runner.run(hold_streams(router.url(CHAT), body, count, all_open))
            result.figures |= {
                "streams": count,
                "first_bytes_p50_ms": percentile(firsts, 50),
                "first_bytes_p99_ms": percentile(firsts, 99),
                "end_rss_mb": router.rss_bytes() / MB,
                "streams_failed": failed,
            }
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return result


def _seconds(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - began


def cases(requests: int) -> dict[str, Callable[[Bench], Result]]:
    """By name, in order."""
    return {
        "start-up": start_up,
        "chat": chat,
        "chat-defaults": chat_defaults,
        "relay": relay,
        "stream": stream,
        "prompt-100kB": prompt_100k,
        "prompt-1MB": prompt_1m,
        "open-loop-100": lambda bench: added_latency(bench, 100),
        "open-loop-1000": lambda bench: added_latency(bench, 1000),
        "slow-streams": lambda bench: slow_streams(bench, 5000),
        "workers-2": workers,
        "memory": lambda bench: memory(bench, requests),
    }


def opened(stack: ExitStack, directory: Path, *, seconds: float, rounds: int, proxy: bool) -> Bench:
    """The servers, closed by `stack`."""
    upstream = stack.enter_context(servers.canned_upstream(directory))
    beside = stack.enter_context(servers.nginx_proxy(directory, upstream)) if proxy else None
    router = stack.enter_context(servers.router(directory, upstream))
    return Bench(directory, upstream, router, beside, seconds, rounds)
