"""A node as an operator sees it: started, asked, told to reload, told to stop."""

from __future__ import annotations

import asyncio
import json
import signal
from pathlib import Path

import aiohttp
import pytest

from tests.conftest import StartVendor, provider
from tests.roles.router.test_chat import ANSWER, BODY, STREAM
from tests.servers.process import command, node_process
from tests.servers.vendor import Play


def write(tmp_path: Path, toml: str) -> Path:
    file = tmp_path / "node.toml"
    head = f'[paths]\ndata_dir = "{tmp_path / "data"}"\n[server]\nport = 0\ndrain_timeout = 5\n'
    file.write_text(head + toml)
    return file


async def test_with_no_configuration_the_offline_provider_answers_and_says_so(
    tmp_path: Path, http: aiohttp.ClientSession
) -> None:
    environment = {"INTELLIROUTER__PATHS__DATA_DIR": str(tmp_path), "OLLAMA_HOST": "127.0.0.1:1"}
    async with node_process("--role", "router", "--port", "0", environment=environment) as node:
        body = {
            "model": "auto",
            "messages": [{"role": "user", "content": "Coal is black.\n\nWhat is black?"}],
        }
        async with http.post(f"{await node.url()}/v1/chat/completions", json=body) as reply:
            answer = (await reply.json())["choices"][0]["message"]["content"]
        assert answer.startswith("Coal is black.")
        assert "OPENAI_API_KEY" in answer
        async with http.get(f"{await node.url()}/health") as reply:
            health = await reply.json()
        assert (reply.status, health["status"]) == (200, "degraded")
        assert "offline" in health["parts"]["providers"]["reason"]


async def test_a_stop_lets_a_running_answer_finish_and_refuses_new_ones(
    tmp_path: Path, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    vendor = await start_vendor(Play.sse(*STREAM[:2], 1.0, *STREAM[2:]))
    async with node_process("--role", "Router", "--config", str(write(tmp_path, provider(vendor)))) as node:
        url = await node.url()
        async with http.post(f"{url}/v1/chat/completions", json={**BODY, "stream": True}) as reply:
            await reply.content.readany()
            node.signal(signal.SIGTERM)
            await node.event("server.draining")
            with pytest.raises(aiohttp.ClientConnectionError):
                await refused(url)
            assert (await reply.content.read()).endswith(b"data: [DONE]\n\n")
        assert await node.wait() == 0
    assert node.lines[-1]["event"] == "server.stopped"


async def refused(url: str) -> None:
    """Ask on new connections until one is refused: listening stops a moment after the announcement."""
    async with asyncio.timeout(60):
        while True:
            async with aiohttp.ClientSession() as fresh, fresh.get(f"{url}/health/live"):
                await asyncio.sleep(0.01)


async def test_a_reload_takes_new_models_and_keeps_the_old_ones_when_the_file_is_bad(
    tmp_path: Path, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    vendor = await start_vendor(Play.json(ANSWER))
    file = write(tmp_path, provider(vendor))
    async with node_process("--role", "Router", "--config", str(file)) as node:
        url = f"{await node.url()}/v1/chat/completions"
        async with http.post(url, json={**BODY, "model": "fresh"}) as reply:
            assert reply.status == 404
        model = '[[model_registry.models]]\nname = "fresh"\ntargets = ["primary/m"]\n'
        write(tmp_path, provider(vendor) + model)
        node.signal(signal.SIGHUP)
        await node.event("config.reloaded")
        async with http.post(url, json={**BODY, "model": "fresh"}) as reply:
            assert reply.status == 200
        write(tmp_path, "nonsense = 1\n")
        node.signal(signal.SIGHUP)
        assert "nonsense" in (await node.event("config.reload_refused"))["message"]
        async with http.post(url, json={**BODY, "model": "fresh"}) as reply:
            assert reply.status == 200


async def test_workers_share_a_port_and_a_dead_one_is_replaced(
    tmp_path: Path, start_vendor: StartVendor, unused_tcp_port: int
) -> None:
    vendor = await start_vendor(Play.json(ANSWER))
    arguments = ("--role", "Router", "--config", str(write(tmp_path, provider(vendor))))
    async with node_process(*arguments, "--workers", "2", "--port", str(unused_tcp_port)) as node:
        await node.event("server.listening", count=2)
        url = f"http://127.0.0.1:{unused_tcp_port}/v1/chat/completions"

        async def ask() -> int:
            async with aiohttp.ClientSession() as fresh, fresh.post(url, json=BODY) as reply:
                return reply.status

        assert await asyncio.gather(*(ask() for _ in range(20))) == [200] * 20
        node.signal(signal.SIGTERM)
        assert await node.wait() == 0


@pytest.mark.parametrize("role", ["router", "ROUTER", "Router"])
async def test_a_role_is_named_in_any_case(tmp_path: Path, role: str) -> None:
    async with node_process("--role", role, "--config", str(write(tmp_path, ""))) as node:
        assert (await node.event("server.listening"))["role"] == "Router"


BAD: list[tuple[list[str], int, str]] = [
    (["run", "--role", "Butler"], 2, "no role 'Butler'"),
    (["run", "--config", "/nowhere.toml"], 78, "/nowhere.toml: cannot be read"),
    (["validate-config", "--config", "/nowhere.toml"], 78, "cannot be read"),
    (["flub"], 2, "No such command"),
]


@pytest.mark.parametrize(("arguments", "code", "words"), BAD)
async def test_a_mistake_on_the_command_line_is_one_line_and_a_code(
    arguments: list[str], code: int, words: str
) -> None:
    exit_code, _, errors = await command(*arguments)
    assert exit_code == code
    assert words in errors
    assert "Traceback" not in errors


async def test_the_guides_router_file_starts_with_a_token_of_its_own_and_says_loudly_what_is_unwise(
    tmp_path: Path, http: aiohttp.ClientSession
) -> None:
    environment = {
        "INTELLIROUTER__IPC__SECURITY__TOKEN": "f3c1a9d07b52e8641f0c",
        "INTELLIROUTER__SERVER__PORT": "0",
        "INTELLIROUTER__PATHS__DATA_DIR": str(tmp_path),
        "INTELLIROUTER__MEMORY__REDIS_URL": "redis://127.0.0.1:1",
    }
    async with node_process(
        "--role", "Router", "--config", "config/router.toml", environment=environment
    ) as node:
        async with http.get(f"{await node.url()}/health") as reply:
            health = await reply.json()
        assert reply.status == 200
        assert health["status"] == "degraded"
        assert health["parts"]["state"]["status"] == "degraded"
        assert any("auth.enabled" in warning for warning in health["warnings"])
        assert any(line.get("event") == "config.warning" for line in node.lines)


NODES = ("router", "orchestrator", "rag-manager", "persona-layer")


@pytest.mark.parametrize("name", NODES)
async def test_a_shipped_file_does_not_start_with_the_token_it_was_shipped_with(
    name: str, tmp_path: Path
) -> None:
    file = str(Path("config") / f"{name}.toml")
    environment = {
        "INTELLIROUTER__PATHS__DATA_DIR": str(tmp_path),
        "INTELLIROUTER__MEMORY__REDIS_URL": "redis://127.0.0.1:1",
    }
    for words in (["run", "--config", file], ["validate-config", "--config", file]):
        code, out, errors = await command(*words, environment=environment)
        assert code == 78, out + errors
        line = Path(file).read_text().splitlines().index('token = "your_secure_token_here"') + 1  # noqa: ASYNC240
        assert f"{file}:{line}: ipc.security.token: is a placeholder" in errors
        assert "your_secure_token_here" not in out + errors
        assert not [*tmp_path.iterdir()]  # noqa: ASYNC240  one look


async def test_validate_config_shows_where_values_come_from_and_no_secret(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        '[[model_registry.providers]]\nname = "openai"\napi_key = "sk-planted"\nheaders = {x-a = "planted"}\n',
    )
    environment = {
        "ANTHROPIC_API_KEY": "planted-too",
        "INTELLIROUTER__MEMORY__REDIS_URL": "redis://:planted@h",
    }
    code, out, errors = await command(
        "validate-config", "--config", str(file), "--show", environment=environment
    )
    assert code == 0, errors
    assert "planted" not in out + errors
    assert "ANTHROPIC_API_KEY in the environment" in out
    code, out, _ = await command(
        "validate-config", "-c", str(file), "--show", "--json", environment=environment
    )
    values = json.loads(out)["values"]
    assert values["server.port"] == {"value": 0, "source": f"{file}:4"}
    assert values["memory.redis_url"]["value"] == "********"
    assert "planted" not in out


async def test_strict_validation_fails_on_a_warning() -> None:
    environment = {"INTELLIROUTER__IPC__SECURITY__TOKEN": "f3c1a9d07b52e8641f0c"}
    words = ("validate-config", "--config", "config/router.toml")
    assert (await command(*words, environment=environment))[0] == 0
    assert (await command(*words, "--strict", environment=environment))[0] == 78
