"""Attack a running node, and say in a table what held.

    scripts/attack [--requests 2000] [--seed 1] [--json]

Starts a node with all roles and two tenants on free loopback ports, and sends it odd values on every route of every role, with
no key, a wrong one, and keys of each kind, while a second connection asks the whole time whether the node is alive. `--requests
20000` is the long form. Exit code 1 where something did not hold: an answer of 5xx that says nothing of what is missing, a secret
of one tenant in the answer to another, the loop held, or memory beyond the bound.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import aiohttp
import psutil
from rich.console import Console
from rich.table import Table

from intellirouter.app.api import api_document
from intellirouter.security.api_keys import hash_key
from tests.servers.ports import free_port
from tests.servers.vendor import Play, Vendor

RSS_BYTES = 300_000_000
HELD_SECONDS = 0.2
AT_ONCE = 8
SECRET = "MARK-OF-TENANT-A-7f3a"
ANSWER = {
    "id": "c", "object": "chat.completion", "created": 1, "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "ok"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}  # fmt: skip
VECTORS = {
    "object": "list",
    "model": "m",
    "data": [{"object": "embedding", "index": 0, "embedding": [0.1, 0.2]}],
}
SCOPES = {
    "a": ["inference", "chains", "personas"],
    "b": ["inference", "chains", "personas"],
    "plain": ["inference"],
    "admin": ["admin"],
}
WORDS: list[Any] = [
    None, True, 0, -1, 1e308, 2**70, 0.1, "", " ", "x", "m", "a" * 300, "a" * 70_000, "\0", "é\u202e\u200b", "../../etc/passwd", "%00",
    "{{ 7*7 }}", "${HOME}", "'; drop table x; --", "auto", "persona/x", "chain/x", [], {}, [[]], [None], {"": None}, ["x"] * 300,
    {"role": "user", "content": "hi"}, [{"role": "user", "content": "hi"}], [{"role": "tool"}], {"type": "object", "$ref": "http://127.0.0.1:9/x"},
    {"pattern": "^(a|a)*$"}, "2020-01-01", "1e999", "NaN", "http://169.254.169.254/", "file:///etc/passwd", "data:image/png;base64,AAAA",
]  # fmt: skip
FIELDS = (
    "model messages input prompt stream tools tool_choice response_format temperature max_tokens n stop user metadata persona "
    "conversation rag intellirouter name source format definition steps chain query collection collections top_k filters text texts "
    "documents file file_ids purpose variables version tags limit signal payload step cron key id scopes tenant models contents system"
).split()


@dataclass
class Result:
    """What was seen."""

    sent: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)
    leaks: list[str] = field(default_factory=list)
    cut: int = 0
    pauses: list[float] = field(default_factory=list)
    control: list[float] = field(default_factory=list)
    rss: int = 0
    routes: set[str] = field(default_factory=set)
    deadly: str = ""

    @property
    def slack(self) -> float:
        """What this machine keeps anybody waiting anyhow: an idle loop's own pauses beside the node's."""
        return max(self.control, default=0.0)

    @property
    def held(self) -> float:
        """The longest time that the node kept its second connection waiting, beyond the control."""
        return max(0.0, max(self.pauses, default=0.0) - self.slack)

    def verdicts(self) -> list[tuple[str, str, bool]]:
        """What was looked at, what was found, whether it held."""
        return [
            ("requests", f"{self.sent:,} on {len(self.routes)} routes", self.sent > 0),
            ("answers", ", ".join(f"{n:,} × {s}" for s, n in sorted(self.statuses.items())), True),
            ("5xx that say nothing", "; ".join(self.broken[:3]) or "none", not self.broken),
            ("secrets of another tenant", "; ".join(self.leaks[:3]) or "none", not self.leaks),
            (
                "longest wait of a second client",
                f"{self.held * 1e3:.0f} ms beyond {self.slack * 1e3:.0f} ms of an idle loop",
                self.held <= HELD_SECONDS,
            ),
            ("median wait of a second client", f"{statistics.median(self.pauses or [0]) * 1e3:.1f} ms", True),
            ("memory", f"{self.rss / 1e6:.0f} MB at most", self.rss <= RSS_BYTES),
            ("the node", self.deadly or "lives", not self.deadly),
        ]


def operations() -> list[tuple[str, str, str]]:
    """`(role, method, path)` of every route of every role."""
    document = json.loads(api_document())
    return [
        (operation["tags"][0], method.upper(), path)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if path != "/admin/shutdown"
    ]


@contextlib.asynccontextmanager
async def node(folder: Path, vendor: Vendor) -> AsyncIterator[tuple[int, dict[str, str]]]:
    """A node with all roles: its process, and where each role listens."""
    ports = [free_port() for _ in range(4)]
    keys = "".join(
        f'[[auth.keys]]\nname = "{name}"\nsha256 = "{hash_key(f"sk-{name}-key-of-the-attack")}"\n'
        f'tenant = "{name[0]}"\nscopes = {json.dumps(scopes)}\n'
        for name, scopes in SCOPES.items()
    )
    names = ("Router", "ChainEngine", "RagManager", "PersonaLayer")
    tables = ("chain_engine", "rag_manager", "persona_layer")
    roles = "".join(f"[roles.{name}]\nport = {port}\n" for name, port in zip(tables, ports[1:], strict=True))
    file = folder / "node.toml"
    file.write_text(
        f'[server]\nport = {ports[0]}\n[paths]\ndata_dir = "{folder / "data"}"\n[auth]\nenabled = true\n{keys}{roles}'
        f'[[model_registry.providers]]\nname = "p"\nkind = "openai_compatible"\nendpoint = "{vendor.url}/v1"\n'
        f'api_key = "sk-of-the-provider"\nmodels = ["m"]\n[telemetry]\nlog_level = "error"\n'
    )
    log = (folder / "log").open("wb")
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "intellirouter",
        "run",
        "--role",
        "All",
        "--config",
        str(file),
        stdout=log,
        stderr=log,
    )
    urls = {name: f"http://127.0.0.1:{port}" for name, port in zip(names, ports, strict=True)}
    try:
        async with aiohttp.ClientSession() as http, asyncio.timeout(120):
            for url in urls.values():
                while True:
                    with contextlib.suppress(aiohttp.ClientError):
                        async with http.get(f"{url}/health/live") as reply:
                            if reply.status == 200:
                                break
                    if process.returncode is not None:
                        raise SystemExit((folder / "log").read_text()[-2_000:])
                    await asyncio.sleep(0.1)
        yield process.pid, urls
    finally:
        if process.returncode is None:
            process.terminate()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), 60)
        log.close()


class Attack:
    """One campaign."""

    def __init__(self, urls: dict[str, str], pid: int, seed: int) -> None:
        self.urls = urls
        self.process = psutil.Process(pid)
        self.random = random.Random(seed)
        self.result = Result()
        self.keys = {name: f"sk-{name}-key-of-the-attack" for name in SCOPES} | {
            "none": "",
            "wrong": "sk-wrong",
        }

    async def plant(self, http: aiohttp.ClientSession) -> None:
        """Leave tenant A's secrets where the others could find them."""
        head = {"authorization": f"Bearer {self.keys['a']}"}
        url = self.urls["Router"]
        body = {
            "model": "m",
            "messages": [{"role": "user", "content": SECRET}],
            "conversation": "kept",
            "metadata": {"x": SECRET},
        }
        await self._told(http.post(f"{url}/v1/chat/completions", json=body, headers=head))
        await self._told(http.post(f"{url}/v1/responses", json={"model": "m", "input": SECRET}, headers=head))
        chain = {
            "chain": {"name": "x", "description": SECRET},
            "steps": [{"id": "s", "set": {"v": f"'{SECRET}'"}}],
        }
        await self._told(
            http.put(f"{self.urls['ChainEngine']}/v1/chains/x", json={"definition": chain}, headers=head)
        )
        source = f'prompt = "{SECRET}"'
        await self._told(
            http.put(f"{self.urls['PersonaLayer']}/v1/personas/x", json={"source": source}, headers=head)
        )

    @staticmethod
    async def _told(asked: Any) -> None:
        async with asked as reply:
            await reply.read()

    async def run(self, requests: int) -> Result:
        """Send so many requests."""
        routes = operations()
        left = iter(range(requests))
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as http:
            await self.plant(http)
            watching = asyncio.create_task(self.watch())
            await asyncio.gather(*(self.work(http, routes, left) for _ in range(AT_ONCE)))
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
        return self.result

    async def work(self, http: aiohttp.ClientSession, routes: list[tuple[str, str, str]], left: Any) -> None:
        for number in left:
            role, method, path = (
                routes[number % len(routes)] if number < 3 * len(routes) else self.random.choice(routes)
            )
            await self.one(http, role, method, path)
            if not self.process.is_running() or self.process.status() == psutil.STATUS_ZOMBIE:
                self.result.deadly = f"ended after {method} {path}"
                return

    async def one(self, http: aiohttp.ClientSession, role: str, method: str, path: str) -> None:
        """One request with odd values, and a look at what came back."""
        result, pick = self.result, self.random.choice
        who = pick(list(self.keys))
        url = self.urls.get(role, self.urls["Router"]) + _filled(path, pick)
        headers = {"authorization": f"Bearer {self.keys[who]}"} if self.keys[who] else {}
        body = {name: pick(WORDS) for name in self.random.sample(FIELDS, self.random.randint(0, 12))}
        if self.random.random() < 0.5:
            body |= {
                "model": "m",
                "messages": [{"role": "user", "content": "hi"}],
                "input": "x",
                "prompt": "x",
            }
        data = json.dumps(body).encode() if method not in ("GET", "HEAD") else None
        if data is not None and self.random.random() < 0.05:
            data = data[: len(data) // 2]
        result.sent += 1
        result.routes.add(f"{method} {path}")
        try:
            async with http.request(
                method, url, data=data, headers={**headers, "content-type": "application/json"}
            ) as reply:
                text = (await reply.content.read(2_000_000)).decode("utf-8", "replace")
        except (aiohttp.ClientError, TimeoutError, ValueError):
            result.cut += 1
            return
        result.statuses[reply.status] += 1
        if reply.status >= 500 and not _says_why(text):
            result.broken.append(f"{reply.status} {method} {path[:40]}: {text[:120]}")
        if SECRET in text and who not in ("a", "admin"):
            result.leaks.append(f"{who}: {method} {path}")

    async def watch(self) -> None:
        """Ask the node again and again over a connection of its own, and an idle loop of this process beside it."""
        parts = urlsplit(self.urls["Router"])
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        try:
            while True:
                began = time.perf_counter()
                await asyncio.sleep(0.02)
                late = time.perf_counter() - began - 0.02
                self.result.control.append(late)
                began = time.perf_counter()
                writer.write(b"GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n")
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
                await reader.readexactly(length)
                self.result.pauses.append(time.perf_counter() - began)
                with contextlib.suppress(psutil.Error):
                    self.result.rss = max(self.result.rss, self.process.memory_info().rss)
        except (ConnectionError, asyncio.IncompleteReadError):
            self.result.deadly = self.result.deadly or "closed the second connection"
        finally:
            writer.close()


def _filled(path: str, pick: Any) -> str:
    """The path with odd names in it."""
    names = ["x", "m", "kept", "a" * 300, "%00", "..", "é", "*", "a:b", "run_x", "0"]
    while "{" in path:
        before, _, rest = path.partition("{")
        path = before + quote(pick(names), safe="%") + rest.partition("}")[2]
    return path


def _says_why(text: str) -> bool:
    """Whether a 5xx tells what is missing: a model that cannot be had, a part that is away, a run that failed."""
    with contextlib.suppress(ValueError, AttributeError, TypeError, KeyError):
        error = json.loads(text)["error"]
        if isinstance(error, str):  # Ollama's form has no codes
            return "internal error" not in error
        code = error.get("code") or error.get("type") or error.get("status")
        return code not in (None, "internal_error", "INTERNAL", "api_error")
    return False


async def main(requests: int, seed: int, *, as_json: bool) -> int:
    """Attack, and print."""
    with tempfile.TemporaryDirectory() as folder:
        async with (
            Vendor(Play.json(ANSWER), by_path={"/v1/embeddings": Play.json(VECTORS)}).running() as vendor,
            node(Path(folder), vendor) as (pid, urls),
        ):
            result = await Attack(urls, pid, seed).run(requests)
    verdicts = result.verdicts()
    if as_json:
        print(json.dumps({name: {"found": found, "held": held} for name, found, held in verdicts}, indent=1))
    else:
        table = Table("", "found", "", box=None, title=f"attack of {requests:,} requests, seed {seed}")
        for name, found, held in verdicts:
            table.add_row(name, found, "ok" if held else "[bold]broken[/]")
        Console(width=80).print(table)
    return 0 if all(held for _, _, held in verdicts) else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4)))
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    sys.exit(asyncio.run(main(options.requests, options.seed, as_json=options.json)))
