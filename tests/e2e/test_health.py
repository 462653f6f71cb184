"""What /health says is so: of providers, of the store, of the disk, of the database of runs; and which commit says it."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import psycopg
import pytest

from intellirouter.app.node import Node
from intellirouter.commit import checked_out, commit
from intellirouter.roles.keys import STATE
from tests.conftest import StartNode, StartVendor, provider
from tests.roles.router.test_chat import ANSWER, BODY
from tests.servers.ports import free_port
from tests.servers.postgres import postgres
from tests.servers.process import command
from tests.servers.vendor import Play


async def health(http: aiohttp.ClientSession, node: Node) -> tuple[int, dict[str, Any]]:
    async with http.get(f"{node.listening[0].url}/health") as reply:
        return reply.status, await reply.json()


async def until(ask: Callable[[], Awaitable[tuple[int, dict[str, Any]]]], status: str) -> dict[str, Any]:
    """The report, once it says so."""
    body: dict[str, Any] = {}
    try:
        async with asyncio.timeout(60):
            while True:
                code, body = await ask()
                if body["status"] == status:
                    assert code == (503 if status == "unhealthy" else 200)
                    return body
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(body) from None


def away(name: str) -> str:
    return (
        f'[[model_registry.providers]]\nname = "{name}"\nkind = "openai_compatible"\n'
        f'endpoint = "http://127.0.0.1:{free_port()}/v1"\nmodels = ["m"]\n'
    )


async def ask(http: aiohttp.ClientSession, node: Node, model: str) -> int:
    url = f"{node.listening[0].url}/v1/chat/completions"
    async with http.post(url, json={**BODY, "model": model}) as reply:
        await reply.read()
        return reply.status


async def test_a_router_whose_every_provider_is_away_is_not_healthy(
    start_node: StartNode, http: aiohttp.ClientSession
) -> None:
    quick = "[router]\nmax_attempts = 1\n[router.circuit]\nfailure_threshold = 2\n"
    node = await start_node(quick + away("one") + away("two"))
    for _ in range(3):
        await ask(http, node, "one/m")
    body = await until(lambda: health(http, node), "degraded")
    assert "one" in body["parts"]["providers"]["reason"]
    for _ in range(3):
        await ask(http, node, "two/m")
    body = await until(lambda: health(http, node), "unhealthy")
    assert (
        body["parts"]["providers"]["reason"] == "no provider answers, the circuits of all are open: one, two"
    )


async def test_one_that_answers_makes_it_degraded(
    start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    vendor = await start_vendor(Play.json(ANSWER))
    node = await start_node(
        "[router]\nmax_attempts = 1\n[router.circuit]\nfailure_threshold = 2\n"
        + provider(vendor)
        + away("two")
    )
    assert (await health(http, node))[1]["status"] == "healthy"
    for _ in range(3):
        await ask(http, node, "two/m")
    assert await ask(http, node, "primary/m") == 200
    body = await until(lambda: health(http, node), "degraded")
    assert body["parts"]["providers"]["reason"] == "circuits are open at: two"


@pytest.fixture
def small_disk(tmp_path: Path) -> Any:
    """A disk of 8 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = shutil.which("mount") and os.geteuid() == 0
    if (
        not mounted
        or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", place], check=False).returncode
    ):
        pytest.skip("a disk of its own needs root and mount")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


async def test_a_disk_that_is_full_and_a_store_that_cannot_write(
    small_disk: Path, start_node: StartNode, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    vendor = await start_vendor(Play.json(ANSWER))
    data = small_disk / "data"
    node = await start_node(provider(vendor), environment={}, data_dir=data)
    assert (await health(http, node))[1]["status"] == "healthy"
    ballast = small_disk / "ballast"
    with ballast.open("wb") as file:
        try:
            while True:
                file.write(bytes(1 << 16))
                file.flush()
        except OSError:
            pass
    body = await until(lambda: health(http, node), "unhealthy")
    assert body["parts"]["disk"]["reason"] == "the disk of the data directory is full"
    store = node.opened[STATE]
    failed = False
    for number in range(200):
        try:
            await store.set(f"large:{number}", bytes(1 << 16))
        except Exception:  # noqa: BLE001  whichever it is: it was not written
            failed = True
            break
    assert failed
    body = (await health(http, node))[1]
    assert body["parts"]["state"]["status"] == "unhealthy"
    assert "cannot be written" in body["parts"]["state"]["reason"]
    ballast.unlink()
    # nobody writes, and it is found all the same that it can be written again
    body = await until(lambda: health(http, node), "healthy")


async def test_a_database_of_runs_that_is_away(start_node: StartNode, http: aiohttp.ClientSession) -> None:
    with postgres() as database:
        node = await start_node(f"[chain_engine]\ndatabase_url = '{database}'\n", role="ChainEngine")
        assert (await health(http, node))[1]["status"] == "healthy"
        # the server goes, with all that was open
        name = database.rpartition("/")[2]
        with psycopg.connect(database.rpartition("/")[0] + "/template1", autocommit=True) as db:
            db.execute(f'alter database "{name}" allow_connections false'.encode())
            db.execute(b"select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", [name])
            body = await until(lambda: health(http, node), "unhealthy")
            assert "the database of runs does not answer" in body["parts"]["runs"]["reason"]
            db.execute(f'alter database "{name}" allow_connections true'.encode())
        await until(lambda: health(http, node), "healthy")


async def test_the_commit_is_said_everywhere(start_node: StartNode, http: aiohttp.ClientSession) -> None:
    known = commit()
    assert checked_out(Path(__file__).parents[2]).startswith(known)
    assert len(known) in (0, 12)
    code, out, _ = await command("--version")
    assert code == 0
    assert out == (f"intellirouter 0.1.0 ({known})\n" if known else "intellirouter 0.1.0\n")
    node = await start_node()
    assert (await health(http, node))[1]["commit"] == known
    async with http.get(f"{node.listening[0].url}/metrics") as reply:
        text = await reply.text()
    assert f'intellirouter_build_info{{commit="{known}"' in text


HASH = "0123456789abcdef0123456789abcdef01234567"


def test_the_commit_of_every_kind_of_checkout(tmp_path: Path) -> None:
    git = tmp_path / ".git"
    (git / "refs/heads").mkdir(parents=True)
    assert checked_out(tmp_path) == ""
    (git / "HEAD").write_text(HASH + "\n")
    assert checked_out(tmp_path) == HASH
    (git / "HEAD").write_text("ref: refs/heads/main\n")
    assert checked_out(tmp_path) == ""
    (git / "packed-refs").write_text(f"# pack-refs\n{HASH} refs/heads/main\n")
    assert checked_out(tmp_path) == HASH
    newer = HASH.replace("0", "9")
    (git / "refs/heads/main").write_text(newer + "\n")
    assert checked_out(tmp_path) == newer
    tree = tmp_path / "tree"
    (git / "worktrees/w").mkdir(parents=True)
    (git / "worktrees/w/HEAD").write_text("ref: refs/heads/main\n")
    (git / "worktrees/w/commondir").write_text("../..\n")
    tree.mkdir()
    (tree / ".git").write_text(f"gitdir: {git}/worktrees/w\n")
    assert checked_out(tree) == newer


def test_the_wheel_knows_the_commit(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "--quiet",
            "--no-deps",
            "--wheel-dir",
            str(tmp_path),
            str(root),
        ],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "INTELLIROUTER_COMMIT": HASH},
    )
    if done.returncode and "hatchling" in done.stderr:
        pytest.skip("no index to build with")
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        assert archive.read("intellirouter/_commit.txt").decode().strip() == HASH
