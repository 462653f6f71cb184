"""Gateways a user could install instead, from their public packages: LiteLLM (pip) and Portkey (npm).

`scripts/bench --peers` installs them once, each into a directory of its own in the cache, and measures the same work.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import uvloop

from scripts.benchmarks import servers
from scripts.benchmarks.cases import CHAT, Bench, Result, prompt
from scripts.benchmarks.load import Headers, closed_loop, open_loop, percentile
from scripts.benchmarks.servers import GATEWAY_CORE, KEY, LOAD_CORE, Running

LITELLM = "litellm[proxy]==1.106.2"
PORTKEY = "@portkey-ai/gateway@1.15.2"
RATES = (20, 200)
"""Requests per second in the open loop: what the first peer still holds, and what the second does."""
INSTALL_SECONDS = 900


def peers(bench: Bench) -> Result:
    """Requests per second of each on one core, and the latency each adds at rates that they hold."""
    result = Result()
    with ExitStack() as stack:
        subjects: list[tuple[str, Running, Headers]] = [("router", bench.router, ())]
        subjects.append(("litellm", stack.enter_context(litellm(bench.directory, bench.upstream)), ()))
        if shutil.which("npm"):
            portkey, headers = stack.enter_context(portkey_gateway(bench.directory, bench.upstream))
            subjects.append(("portkey", portkey, headers))
        for _ in range(bench.rounds):
            for name, server, more in subjects:
                with _alone(subjects, name):
                    run = closed_loop(
                        server, CHAT, prompt("chat"), bench.directory, seconds=bench.seconds, more=more
                    )
                result.figures[f"{name}_failed"] = result.figures.get(f"{name}_failed", 0) + run.failed
                if run.rate > result.figures.get(f"{name}_rps", 0):
                    result.figures |= {f"{name}_rps": run.rate, f"{name}_p50_ms": run.p50_ms}
                    result.figures[f"{name}_p99_ms"] = run.p99_ms
                result.figures[f"{name}_rss_mb"] = server.rss_bytes() / 1e6
        _added(bench, subjects, result)
    for name, _, _ in subjects[1:]:
        result.ratios[f"router_to_{name}"] = result.figures["router_rps"] / result.figures[f"{name}_rps"]
    return result


def _added(bench: Bench, subjects: list[tuple[str, Running, Headers]], result: Result) -> None:
    if len(servers.CORES) > 1:
        os.sched_setaffinity(0, {LOAD_CORE})
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        for rate in RATES:
            for name, server, more in [("upstream", bench.upstream, ()), *subjects]:
                if rate > 0.8 * result.figures.get(f"{name}_rps", float("inf")):
                    continue  # it does not hold this rate
                best: tuple[float, float] = (float("inf"), float("inf"))
                for _ in range(bench.rounds):
                    loop = open_loop(
                        server.url(CHAT), prompt("chat"), rate=rate, seconds=bench.seconds, more=more
                    )
                    with _alone(subjects, name):
                        latencies, failed = runner.run(loop)
                    best = min(best, (percentile(latencies, 99), percentile(latencies, 50)))
                    result.figures[f"{name}_failed"] = result.figures.get(f"{name}_failed", 0) + failed
                result.figures[f"{name}_at_{rate}_p50_ms"] = best[1]
                result.figures[f"{name}_at_{rate}_p99_ms"] = best[0]
    os.sched_setaffinity(0, set(servers.CORES))


@contextlib.contextmanager
def _alone(subjects: Sequence[tuple[str, Running, Headers]], measured: str) -> Iterator[None]:
    """Every gateway but one stopped: they share a core, and some work when nobody asks them."""
    with ExitStack() as stack:
        for name, server, _ in subjects:
            if name != measured:
                stack.enter_context(server.paused())
        yield


@contextlib.contextmanager
def litellm(directory: Path, upstream: Running) -> Iterator[Running]:
    """LiteLLM's proxy: one model, one master key, no database."""
    home = _cache() / "litellm"
    if not (home / "bin" / "litellm").exists():
        venv.create(home, with_pip=True, clear=True)
        _install([str(home / "bin" / "pip"), "install", "--quiet", LITELLM], home)
    file = directory / "litellm.yaml"
    file.write_text(
        "model_list:\n  - model_name: chat\n    litellm_params:\n      model: openai/gpt-4o-mini\n"
        f"      api_base: {upstream.url('/v1')}\n      api_key: sk-upstream\n"
        f"general_settings:\n  master_key: {KEY}\n"
    )
    port = servers.free_port()
    command = [str(home / "bin" / "litellm"), "--config", str(file), "--host", "127.0.0.1"]
    with servers.process(
        [*command, "--port", str(port)], GATEWAY_CORE, port, "/health/liveliness", directory, "litellm", 120
    ) as running:
        yield running


@contextlib.contextmanager
def portkey_gateway(directory: Path, upstream: Running) -> Iterator[tuple[Running, Headers]]:
    """Portkey's gateway with its defaults, and the headers that name the provider."""
    home = _cache() / "portkey"
    start = home / "node_modules" / "@portkey-ai" / "gateway" / "build" / "start-server.js"
    if not start.exists():
        home.mkdir(parents=True, exist_ok=True)
        _install(["npm", "install", "--silent", "--no-audit", "--no-fund", PORTKEY], home)
    port = servers.free_port()
    command = ["node", str(start), f"--port={port}", "--headless"]
    headers = (("x-portkey-provider", "openai"), ("x-portkey-custom-host", upstream.url("/v1")))
    with servers.process(command, GATEWAY_CORE, port, "/", directory, "portkey", 60) as running:
        yield running, headers


def _install(command: list[str], directory: Path) -> None:
    print(f"installing {command[-1]} …", file=sys.stderr, flush=True)
    subprocess.run(command, cwd=directory, check=True, timeout=INSTALL_SECONDS)


def _cache() -> Path:
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "intellirouter" / "bench-peers"
