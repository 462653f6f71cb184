"""What else a Router does all day, and what it costs as an installation grows."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import sqlite3
import subprocess
import sys
from pathlib import Path
from statistics import median, stdev
from typing import NamedTuple

from scripts.benchmarks import servers
from scripts.benchmarks.cases import CHAT, Bench, Result, prompt, side_by_side
from scripts.benchmarks.load import closed_loop
from scripts.benchmarks.servers import EMBEDDED_INPUTS, STREAM_CHUNKS, Running
from scripts.benchmarks.turns import Turns

KEYS = 10_000
MODELS = 1_000
PIECE_SECONDS = 2.0
"""Of a turn where two take turns."""


def translated_stream(bench: Bench) -> Result:
    """A streamed completion of 200 chunks, asked for in Anthropic's dialect and answered by a provider in OpenAI's."""
    request = json.loads(prompt("stream", stream=True)) | {"max_tokens": 1000}
    del request["stream_options"]
    result = side_by_side(bench, "/v1/messages", json.dumps(request).encode(), upstream_path="/stream" + CHAT)
    result.figures["router_chunks_per_s"] = result.figures["router_rps"] * STREAM_CHUNKS
    return result


def embeddings(bench: Bench) -> Result:
    """Vectors for 100 inputs of ten words."""
    texts = [" ".join(["word"] * 10) for _ in range(EMBEDDED_INPUTS)]
    return side_by_side(bench, "/v1/embeddings", json.dumps({"model": "chat", "input": texts}).encode())


def cache_hit(bench: Bench) -> Result:
    """The same question again, answered from the exact cache, beside the same Router without it."""
    extra = "[cache]\nenabled = true\n"
    with servers.router(bench.directory, bench.upstream, extra=extra) as cached:
        return _beside(bench, {"plain": bench.router, "cached": cached}, "cpu_plain_to_cached")


def many_keys(bench: Bench) -> Result:
    """10,000 API keys in turn, each with limits and a budget, beside one."""
    keys = [f"sk-bench-{index:032x}" for index in range(KEYS)]
    extra = "".join(
        f'[[auth.keys]]\nname = "k{index}"\nsha256 = "{hashlib.sha256(key.encode()).hexdigest()}"\n'
        f"[budgets.keys.k{index}]\nmonth = 1000000.0\n"
        for index, key in enumerate(keys)
    )
    with servers.router(bench.directory, bench.upstream, extra=extra) as large:
        result = _beside(bench, {"one": bench.router, "many": large}, "cpu_one_to_many", keys={"many": keys})
        result.figures["many_rss_mb"] = large.rss_bytes() / 1e6
        return result


def many_models(bench: Bench) -> Result:
    """1,000 models in the catalogue, beside three."""
    extra = "".join(
        f'[[model_registry.models]]\nname = "m{index}"\ntargets = ["canned/gpt-4o-mini"]\n'
        "price = { input = 0.15, output = 0.6 }\n"
        for index in range(MODELS)
    )
    with servers.router(bench.directory, bench.upstream, extra=extra) as large:
        model = f"m{MODELS - 1}"
        result = _beside(
            bench, {"few": bench.router, "many": large}, "cpu_few_to_many", models={"many": model}
        )
        result.figures["many_rss_mb"] = large.rss_bytes() / 1e6
        return result


def record(bench: Bench) -> Result:
    """The record of requests on beside off: what it costs the thread that answers, and all threads, which here share a core.

    The two take turns in pieces so short that what else the machine does meets both, each beginning as often as the other; the one that
    waits is stopped, so that no row is made at the other's expense. A ratio is the middle one of those of the pairs. What is told by
    `in_turns`, of one process, is the least disturbed: see there.
    """
    result = in_turns(bench)
    pairs: dict[str, list[float]] = {"loop_off_to_on": [], "cpu_off_to_on": [], "rate_on_to_off": []}
    with servers.router(bench.directory, bench.upstream, extra="[records]\nenabled = false\n") as silent:
        subjects = {"off": silent, "on": bench.router}
        for server in subjects.values():
            closed_loop(server, CHAT, prompt("chat"), bench.directory, seconds=1)  # warm
        for turn in range(max(2, round(bench.rounds * bench.seconds / PIECE_SECONDS))):
            taken: dict[str, Piece] = {}
            for name, other in (("off", "on"), ("on", "off"))[:: 1 if turn % 2 else -1]:
                with subjects[other].paused():
                    taken[name] = _piece(bench, subjects[name])
            off, on = taken["off"], taken["on"]
            pairs["loop_off_to_on"].append(off.loop_us / on.loop_us)
            pairs["cpu_off_to_on"].append(off.cpu_us / on.cpu_us)
            pairs["rate_on_to_off"].append(on.rate / off.rate)
            for name, piece in taken.items():
                figures = result.figures
                figures[f"{name}_failed"] = figures.get(f"{name}_failed", 0) + piece.failed
                figures[f"{name}_rps"] = max(piece.rate, figures.get(f"{name}_rps", 0))
                for figure, value in (("loop_us", piece.loop_us), ("cpu_us", piece.cpu_us)):
                    figures[f"{name}_{figure}"] = min(value, figures.get(f"{name}_{figure}", math.inf))
    for ratio, told in pairs.items():
        result.ratios[ratio] = median(told)
        result.figures[f"{ratio}_error"] = stdev(told) / math.sqrt(len(told))
    file = bench.directory / "data" / "requests.db"
    with contextlib.closing(sqlite3.connect(file)) as connection:
        words = "select rows, (select ifnull(sum(rows), 0) from held) from kept"
        result.figures["rows_written"], result.figures["requests_held"] = connection.execute(words).fetchone()
    return result


def in_turns(bench: Bench) -> Result:
    """What the record adds to the processor's time of a request: on its path, and later in the thread that keeps it.

    Rows are made where a processor has time, or of many at once: what a row costs then, `scripts/bench records` tells.
    """
    directory = bench.directory / "in-turns"
    directory.mkdir(exist_ok=True)
    file = directory / "turns.json"
    module = ("scripts.benchmarks.in_turns", str(file))
    with servers.router(directory, bench.upstream, module=module) as one, bench.router.paused():
        closed_loop(one, CHAT, prompt("chat"), directory, seconds=1)  # warm
        run = closed_loop(one, CHAT, prompt("chat"), directory, seconds=2 * bench.rounds * bench.seconds)
        told = Turns.read(file) if file.exists() else Turns()
    pairs = [(on, off) for on, off in zip(told.on_us, told.off_us, strict=False) if on and off]
    if len(pairs) < 2:  # the machine was too busy for turns that say something
        return Result({"turns_failed": run.failed, "turns": len(pairs)})
    more = [on - off for on, off in pairs]
    usual = median(off for _, off in pairs)
    kept = told.record_us / max(1, told.noted)
    figures = {
        "turns_failed": run.failed,
        "turns": len(pairs),
        "turns_loop_us": usual,
        "added_path_us": median(more),
        "added_path_us_error": stdev(more) / math.sqrt(len(more)),
        "added_thread_us": kept,
        "added_percent": (median(more) + kept) / usual * 100,
    }
    return Result(figures, {"path_off_to_on": median(off / on for on, off in pairs)})


class Piece(NamedTuple):
    """A short run: requests a second and failed ones; microseconds a request of the thread that answers, and of all threads."""

    rate: float
    failed: int
    loop_us: float
    cpu_us: float


def _piece(bench: Bench, server: Running) -> Piece:
    for _ in range(5):
        before = server.loop_seconds()
        run = closed_loop(server, CHAT, prompt("chat"), bench.directory, seconds=PIECE_SECONDS)
        if run.rate:  # none at all: others had the machine
            break
    count = max(1.0, run.rate * PIECE_SECONDS)
    return Piece(run.rate, run.failed, (server.loop_seconds() - before) / count * 1e6, run.cpu_us)


def chains(_bench: Bench) -> Result:
    """What the chain engine itself costs, in a process of its own: its steps do nothing."""
    command = servers.pinned([sys.executable, "-m", "scripts.benchmarks.chains"], servers.GATEWAY_CORE)
    done = subprocess.run(command, cwd=Path.cwd(), capture_output=True, text=True, check=True)
    return Result(json.loads(done.stdout))


def _beside(
    bench: Bench,
    subjects: dict[str, Running],
    ratio: str,
    *,
    keys: dict[str, list[str]] | None = None,
    models: dict[str, str] | None = None,
) -> Result:
    """Short chats to each in turn; the ratio of the CPU time a request takes of the first to the second's."""
    result = Result()
    rates: dict[str, float] = {}
    for _ in range(bench.rounds):
        for name, server in subjects.items():
            body = prompt((models or {}).get(name, "chat"))
            own = (keys or {}).get(name, [servers.KEY])
            before = server.loop_seconds()
            run = closed_loop(server, CHAT, body, bench.directory, seconds=bench.seconds, keys=own)
            rates[name] = max(run.rate, rates.get(name, 0.0))
            result.figures[f"{name}_failed"] = result.figures.get(f"{name}_failed", 0) + run.failed
            loop_us = (server.loop_seconds() - before) / (run.rate * bench.seconds) * 1e6
            for figure, value in (
                (f"{name}_p99_ms", run.p99_ms),
                (f"{name}_cpu_us", run.cpu_us),
                (f"{name}_loop_us", loop_us),
            ):
                result.figures[figure] = min(value, result.figures.get(figure, float("inf")))
    result.figures |= {f"{name}_rps": rate for name, rate in rates.items()}
    first, second = (result.figures[f"{name}_cpu_us"] for name in subjects)
    result.ratios[ratio] = first / second
    return result


BREADTH = {
    "stream-translated": translated_stream,
    "embeddings": embeddings,
    "cache-hit": cache_hit,
    "keys-10000": many_keys,
    "models-1000": many_models,
    "record": record,
    "chains": chains,
}
