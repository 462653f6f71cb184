"""What a loss of Redis costs: a Router under a steady load while its Redis is killed, fails over or loses a master.

    scripts/environment && python scripts/outage.py                    # all four, 200 requests a second
    python scripts/outage.py --case sentinel --seconds 10 --rate 100

Each case measures a calm phase, an outage and the return on the same Router, so that the machine's own noise is in both
columns. The added latency is the 99th percentile of the outage and the return less that of the calm phase. Exit code 1
when a request failed, when a counter is wrong afterwards, or when more than `--most` milliseconds were added.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import math
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import aiohttp

from intellirouter.config.schema.memory import MemorySection
from intellirouter.inference.limits.ledger import day_name
from intellirouter.memory.redis.store import RedisStore
from tests.servers import fault_vendor as faults
from tests.servers.process import node_process
from tests.servers.redis import redis_cluster, redis_sentinel, redis_server
from tests.servers.vendor import Play, Vendor

BODY = {"model": "primary/m", "messages": [{"role": "user", "content": "Hi"}]}
DEADLINE = 30.0
"""Seconds until the state must be what it is waited for."""
PHASES = ("calm", "outage", "return")


@dataclass(frozen=True)
class Outage:
    """Servers that are up, how `[memory]` names them, and what is done to them. A failover heals itself."""

    memory: dict[str, object]
    strike: Callable[[], object]
    heal: Callable[[], object] | None


@contextlib.contextmanager
def killed(directory: Path) -> Iterator[Outage]:
    """One Redis, killed -9 and started again."""
    with redis_server(directory) as server:
        yield Outage({"redis_url": server.url}, server.kill, server.start)


@contextlib.contextmanager
def frozen(directory: Path) -> Iterator[Outage]:
    """One Redis that falls silent: connections stay open and nothing answers."""
    with redis_server(directory) as server:
        yield Outage({"redis_url": server.url}, server.freeze, server.thaw)


@contextlib.contextmanager
def sentinel(directory: Path) -> Iterator[Outage]:
    """The master behind three Sentinels is killed -9; its replica takes over."""
    with redis_sentinel(directory) as (master, _, watchers):
        addresses = [f"127.0.0.1:{watcher.port}" for watcher in watchers]
        yield Outage({"redis_sentinels": addresses}, master.kill, None)


@contextlib.contextmanager
def cluster(directory: Path) -> Iterator[Outage]:
    """One of three masters is killed -9 and started again."""
    with redis_cluster(directory) as nodes:
        yield Outage({"redis_url": nodes[0].url, "redis_cluster": True}, nodes[2].kill, nodes[2].start)


CASES = {"killed": killed, "frozen": frozen, "sentinel": sentinel, "cluster": cluster}


@dataclass
class Load:
    """Requests at a steady rate, whether or not the earlier ones are answered."""

    url: str
    rate: float
    phase: str = PHASES[0]
    seconds: dict[str, list[float]] = field(default_factory=lambda: {phase: [] for phase in PHASES})
    statuses: Counter[str] = field(default_factory=Counter)
    late: dict[str, float] = field(default_factory=lambda: dict.fromkeys(PHASES, 0.0))
    """How late this process itself was at worst, in seconds: what a busy machine does to any process."""

    async def _one(self, session: aiohttp.ClientSession) -> None:
        phase, began = self.phase, time.perf_counter()
        try:
            async with session.post(f"{self.url}/v1/chat/completions", json=BODY) as reply:
                await reply.read()
                self.statuses[str(reply.status)] += 1
        except aiohttp.ClientError as error:
            self.statuses[type(error).__name__] += 1
        self.seconds[phase].append(time.perf_counter() - began)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        stop = asyncio.Event()

        async def run() -> None:
            connector = aiohttp.TCPConnector(limit=0)
            async with aiohttp.ClientSession(connector=connector) as session, asyncio.TaskGroup() as group:
                due = time.perf_counter()
                while not stop.is_set():
                    group.create_task(self._one(session))
                    due += 1 / self.rate
                    await asyncio.sleep(max(0.0, due - time.perf_counter()))
                    self.late[self.phase] = max(self.late[self.phase], time.perf_counter() - due)

        task = asyncio.create_task(run())
        try:
            yield
        finally:
            stop.set()
            await task


def percentile(seconds: list[float], part: float) -> float:
    """In milliseconds, by the nearest rank."""
    return sorted(seconds)[max(0, math.ceil(len(seconds) * part) - 1)] * 1000 if seconds else 0.0


async def becomes(url: str, status: str) -> float:
    """Seconds until the Router says this of its state."""
    began = time.monotonic()
    async with aiohttp.ClientSession() as http:
        while time.monotonic() - began < DEADLINE:
            async with http.get(f"{url}/health") as reply:
                if (await reply.json())["parts"]["state"]["status"] == status:
                    return time.monotonic() - began
            await asyncio.sleep(0.05)
    raise RuntimeError(f"the state was not {status} within {DEADLINE:.0f} s")


def configuration(directory: Path, vendor: Vendor, outage: Outage) -> str:
    values = {
        key: str(value).lower() if isinstance(value, bool) else repr(value)
        for key, value in outage.memory.items()
    }
    memory = "".join(f"{key} = {value}\n" for key, value in values.items())
    return (
        f'[paths]\ndata_dir = "{directory}/data"\n[server]\nport = 0\n[telemetry]\naccess_log = false\n'
        f'[memory]\nbackend_type = "redis"\ntimeout = 20\n{memory}'
        "[limits.each_key]\nrequests_per_minute = 10_000_000\ntokens_per_minute = 1_000_000_000\n"
        f'[[model_registry.providers]]\nname = "primary"\nkind = "openai_compatible"\nendpoint = "{vendor.url}/v1"\n'
        'models = ["m"]\n'
    )


async def counted(outage: Outage, at_least: int) -> int:
    """The requests in the ledger, once all have been written."""
    store = RedisStore(MemorySection.model_validate(outage.memory))
    try:
        end, level = time.monotonic() + 10, 0.0
        while level < at_least and time.monotonic() < end:
            await asyncio.sleep(0.1)
            level = await store.level(f"spend:{day_name(time.time())}:model:primary/m:requests")
        return round(level)
    finally:
        await store.aclose()


async def play(name: str, seconds: float, rate: float, most: float) -> bool:
    """One case; whether it went as it must."""
    with tempfile.TemporaryDirectory() as place:
        directory = Path(place)
        with CASES[name](directory / "redis") as outage:
            async with Vendor(Play.json(faults.whole())).running() as vendor:
                file = directory / "node.toml"
                file.write_text(configuration(directory, vendor, outage))
                async with node_process("--role", "Router", "--config", str(file)) as node:
                    load = Load(await node.url(), rate)
                    await becomes(load.url, "healthy")
                    back = await strike(load, outage, seconds)
                    answered = load.statuses["200"]
                    found = await counted(outage, answered)
                    node.process.terminate()
                    await node.wait()
    return report(name, load, back, found, rate, most)


async def strike(load: Load, outage: Outage, seconds: float) -> float:
    """Calm, outage, return; the seconds until the Router was back on Redis."""
    async with load.running():
        await asyncio.sleep(1.0)  # warm
        load.seconds["calm"].clear()
        await asyncio.sleep(seconds)
        load.phase = "outage"
        await asyncio.to_thread(outage.strike)
        await becomes(load.url, "degraded")
        if outage.heal is not None:
            await asyncio.sleep(seconds)
            load.phase = "return"
            await asyncio.to_thread(outage.heal)
        back = await becomes(load.url, "healthy")
        load.phase = "return"
        await asyncio.sleep(seconds)
    return back


def report(name: str, load: Load, back: float, found: int, rate: float, most: float) -> bool:
    print(f"{name}: {CASES[name].__doc__}")
    for phase in PHASES:
        taken = load.seconds[phase]
        figures = "  ".join(f"p{part * 100:g} {percentile(taken, part):7.1f}" for part in (0.5, 0.99, 1.0))
        print(
            f"  {phase:7} {len(taken):6} requests  {figures} ms  (load late by {load.late[phase] * 1000:.1f} ms)"
        )
    struck = load.seconds["outage"] + load.seconds["return"]
    added = percentile(struck, 0.99) - percentile(load.seconds["calm"], 0.99)
    answered = load.statuses["200"]
    failed = sum(load.statuses.values()) - answered
    print(f"  added to p99: {added:.1f} ms (at most {most:g}); back on Redis after {back:.1f} s")
    print(f"  failed: {failed}; answered: {answered}, counted: {found}\n", flush=True)
    # what one lost answer of the ledger carried, a second's worth, may be counted twice
    right = answered <= found <= answered + rate
    return failed == 0 and right and added <= most


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--case", choices=CASES, action="append", help="all when absent")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each phase")
    parser.add_argument("--rate", type=float, default=200.0, help="requests a second")
    parser.add_argument("--most", type=float, default=50.0, help="milliseconds that may be added to p99")
    given = parser.parse_args()
    good = [
        asyncio.run(play(name, given.seconds, given.rate, given.most)) for name in given.case or list(CASES)
    ]
    sys.exit(0 if all(good) else 1)


if __name__ == "__main__":
    main()
