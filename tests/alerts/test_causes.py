"""Alerts fire and recover by what really happens to running nodes."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
import os
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.alerts.heard import Heard
from tests.conftest import StartNode, StartVendor, provider
from tests.servers import fault_vendor as faults
from tests.servers.certificates import Authority
from tests.servers.vendor import Play, Vendor

ADMIN = {"authorization": "Bearer sk-admin"}
QUICK = "[alerts]\ninterval_seconds = 0.2\ngroup_seconds = 0\n"
ALONE = "for_seconds = 0\nclear_seconds = 0\n"
KEYS = f'[auth]\nenabled = true\n[[auth.keys]]\nname = "admin"\nscopes = ["admin"]\nsha256 = "{hashlib.sha256(b"sk-admin").hexdigest()}"\n'
KEYS += f'[[auth.keys]]\nname = "ann"\nsha256 = "{hashlib.sha256(b"sk-ann").hexdigest()}"\n'


def rule(name: str, more: str = "") -> str:
    return f"[alerts.rules.{name}]\n{ALONE}{more}\n"


def model(more: str = "") -> str:
    return f'[[model_registry.models]]\nname = "chat"\ntargets = ["primary/m"]\n{more}\n'


async def ask(http: aiohttp.ClientSession, url: str, text: str = "Hi", key: str = "sk-ann") -> int:
    body = {"model": "chat", "messages": [{"role": "user", "content": text}], "max_tokens": 100}
    headers = {"authorization": f"Bearer {key}"}
    async with http.post(f"{url}/v1/chat/completions", json=body, headers=headers) as reply:
        await reply.read()
        return reply.status


@contextlib.asynccontextmanager
async def again_and_again(act: Callable[[], Awaitable[object]]) -> AsyncIterator[None]:
    """Do something over and over, while the context is open."""

    async def work() -> None:
        while True:
            await act()
            await asyncio.sleep(0.02)

    task = asyncio.create_task(work())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_a_provider_that_is_killed_and_comes_back(
    start_node: StartNode, heard: Heard, http: aiohttp.ClientSession
) -> None:
    """Its circuit opens, no provider answers, requests fail, a kind of error is new; all of it ends when it is back."""
    async with contextlib.AsyncExitStack() as stack:
        vendor = await stack.enter_async_context(Vendor(Play.json(faults.whole())).running())
        url = (
            await start_node(
                QUICK + rule("provider_down") + rule("providers_down") + rule("error_rate", "least = 3")
                + "[router.circuit]\nfailure_threshold = 2\ntimeout = 0.3\nprobe_interval = 0.3\n"
                + provider(vendor) + model() + heard.channel()
            )
        ).listening[0].url  # fmt: skip
        assert await ask(http, url) == 200
        port = vendor.port
        await stack.aclose()
        async with again_and_again(lambda: ask(http, url)):
            line = await heard.until("providers_down", "critical")
            assert "primary" in line["note"]
            assert (await heard.until("provider_down", "warning"))["subject"] == "primary"
            await heard.until("error_rate", "critical", subject="Router")
            assert heard.of("new_error")
        revived = Vendor(Play.json(faults.whole()), port=port)
        async with revived.running(), again_and_again(lambda: ask(http, url)):
            await heard.until("providers_down", "critical", "recovered")
            await heard.until("provider_down", "warning", "recovered")


async def test_a_budget_is_told_at_each_threshold_once(
    start_node: StartNode, start_vendor: StartVendor, heard: Heard, http: aiohttp.ClientSession
) -> None:
    """70 tokens of ten thousand dollars a million: 0.70 dollars a request, of a budget of 7."""
    answer = Play.json(faults.whole())
    vendor = await start_vendor(answer)
    node = await start_node(
        QUICK + KEYS + rule("cost_hour", "warning = 2\ncritical = 5") + provider(vendor)
        + model("price = { input = 10_000, output = 10_000 }")
        + "[budgets.keys]\nann = { total = 7 }\n" + heard.channel()
    )  # fmt: skip
    url = node.listening[0].url
    for requests, percent, severity in ((5, 50, "warning"), (3, 80, "warning")):
        assert [await ask(http, url) for _ in range(requests)] == [200] * requests
        line = await heard.value_is("budget", percent)
        assert (line["subject"], line["severity"]) == ("key:ann total", severity)
    assert "of $7.00" in line["note"]
    while await ask(http, url) == 200:
        pass
    assert (await heard.value_is("budget", 100))["severity"] == "critical"
    assert [one["value"] for one in heard.said if one["rule"] == "budget"] == [50, 80, 100]
    assert (await heard.last_is("cost_hour", heard.of("cost_hour")[-1]))["value"] >= 2


async def test_what_a_node_sees_of_itself(
    start_node: StartNode, heard: Heard, tmp_path: Path, http: aiohttp.ClientSession
) -> None:
    """Drained, errors in its log, an old backup, a failed one, a certificate of two days, a key that ends, memory: each over again."""
    authority = Authority(tmp_path / "tls")
    certificate, key = authority.issue(days=2)
    data = tmp_path / "data"
    data.mkdir()
    backup = data / "last-backup.json"
    backup.write_text(json.dumps({"backup": {"at": time.time() - 30 * 3600, "place": "/backups"}}))
    node = await start_node(
        QUICK + KEYS + rule("node_drained") + rule("log_errors", "warning = 3") + rule("backup_age") + rule("backup_failed")
        + rule("certificate_expiry") + rule("key_expiry") + rule("memory", "warning = 0.0001\ncritical = 1.0")
        + f'[server.tls]\ncertificate = "{certificate}"\nkey = "{key}"\n' + heard.channel(),
        data_dir=data,
    )  # fmt: skip
    port = node.listening[0].port
    name = next(line["subject"] for line in [await heard.until("memory", "warning")])
    assert name.endswith(f":{port}")
    assert "/backups" in (await heard.until("backup_age", "warning"))["note"]
    assert (await heard.until("certificate_expiry", "critical"))["value"] < 2.1
    node.drain(True)
    for _ in range(3):
        logging.getLogger("tests.somewhere").error("something broke")
    await heard.until("node_drained", "warning")
    assert "tests.somewhere 3" in (await heard.until("log_errors", "warning"))["note"]
    now = time.time()
    backup.write_text(json.dumps({"backup": {"at": now - 60}, "failed": {"at": now, "reason": "no room"}}))
    assert (await heard.until("backup_failed", "critical"))["note"] == "no room"
    await heard.until("backup_age", "warning", "recovered")
    node.drain(False)
    backup.write_text(json.dumps({"backup": {"at": now}, "drill": {"at": now, "ok": True}}))
    fresh, fresh_key = authority.issue(days=90)
    key.write_bytes(fresh_key.read_bytes())
    certificate.write_bytes(fresh.read_bytes())
    await heard.until("node_drained", "warning", "recovered")
    await heard.until("backup_failed", "critical", "recovered")
    await heard.until("certificate_expiry", "critical", "recovered")


async def test_a_key_that_ends_soon(
    start_node: StartNode, heard: Heard, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until it is given more time."""
    monkeypatch.setattr("intellirouter.app.alerting.KEYS_SECONDS", 0.1)
    url = (await start_node(QUICK + KEYS + rule("key_expiry") + heard.channel())).listening[0].url
    body = {"name": "soon", "expires": time.time() + 3 * 86_400}
    async with http.post(f"{url}/admin/keys", json=body, headers=ADMIN) as reply:
        made = await reply.json()
        assert reply.status == 201
    assert (await heard.until("key_expiry", "warning"))["subject"] == "soon"
    later = {"expires": time.time() + 300 * 86_400}
    async with http.patch(f"{url}/admin/keys/{made['id']}", json=later, headers=ADMIN) as reply:
        assert reply.status == 200
    await heard.until("key_expiry", "warning", "recovered")


async def test_requests_that_wait_and_a_cache_that_answers_little(
    start_node: StartNode, start_vendor: StartVendor, heard: Heard, http: aiohttp.ClientSession
) -> None:
    slow = Play.json(faults.whole())
    slow.pieces = (1.0, *slow.pieces)
    vendor = await start_vendor(slow)
    node = await start_node(
        QUICK + rule("queue", "warning = 5") + rule("cache_hits", "least = 5") + rule("latency_p95", "warning = 0.5\nleast = 3")
        + rule("provider_latency", "warning = 0.5\nleast = 3")
        + "[limits]\nmax_concurrent_requests = 4\n[cache]\nenabled = true\n" + provider(vendor) + model() + heard.channel()
    )  # fmt: skip
    url = node.listening[0].url
    async with asyncio.TaskGroup() as group:
        for number in range(20):
            group.create_task(ask(http, url, f"question {number}"))
        await heard.until("queue", "warning")
    await heard.until("queue", "warning", "recovered")
    assert (await heard.until("cache_hits", "critical"))["value"] == 0
    assert (await heard.until("latency_p95", "warning"))["subject"] == "Router"
    assert (await heard.until("provider_latency", "warning"))["subject"] == "primary"
    for _ in range(40):
        await ask(http, url, "question 0")
    await heard.last_is("cache_hits", "recovered")


async def test_runs_that_fail_and_one_that_stands_still(
    start_node: StartNode, start_vendor: StartVendor, heard: Heard, http: aiohttp.ClientSession
) -> None:
    vendor = await start_vendor(Play(before="hang"))
    node = await start_node(
        QUICK + rule("runs_failed") + rule("runs_stuck", "warning = 0.00005") + heard.channel() + provider(vendor) + model(),
        role="All",
    )  # fmt: skip
    url = next(one.url for one in node.listening if one.role == "ChainEngine")
    ids = {}
    steps = {"bad": {"set": {"x": "1 / 0"}}, "slow": {"llm": {"model": "chat", "prompt": "Hi"}}}
    for name, step in steps.items():
        chain = {"chain": {"name": name}, "steps": [{"id": "s", **step}]}
        async with http.put(f"{url}/v1/chains/{name}", json={"definition": chain}) as reply:
            assert reply.status in (200, 201), await reply.text()
        async with http.post(f"{url}/v1/chains/{name}/runs", json={"mode": "background"}) as reply:
            assert reply.status in (200, 202), await reply.text()
            ids[name] = (await reply.json())["id"]
    await heard.until("runs_failed", "warning")
    assert (await heard.until("runs_stuck", "warning"))["note"] == ids["slow"]
    async with http.post(f"{url}/v1/runs/{ids['slow']}/cancel") as reply:
        assert reply.status in (200, 202), await reply.text()
    vendor.hang_up()
    await heard.until("runs_stuck", "warning", "recovered")


@pytest.fixture
def small_disk(tmp_path: Path) -> Any:
    place = tmp_path / "disk"
    place.mkdir()
    made = (
        os.geteuid() == 0
        and not subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(place)], capture_output=True, check=False
        ).returncode
    )
    if not made:
        pytest.skip("only root mounts a small disk")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


async def test_a_disk_that_fills_up(small_disk: Path, start_node: StartNode, heard: Heard) -> None:
    """To its last byte: the state cannot be written then, and it is told all the same."""
    await start_node(QUICK + rule("disk") + rule("health") + heard.channel(), data_dir=small_disk / "data")
    waste = small_disk / "waste"
    with waste.open("wb") as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 65_536)
            file.flush()
    line = await heard.until("disk", "critical")
    assert line["value"] > 0.97
    assert str(small_disk) in line["note"]
    waste.unlink()
    await heard.until("disk", "critical", "recovered")
    assert len(set(heard.ids)) == len(heard.ids)
