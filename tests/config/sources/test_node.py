"""A running node whose provider's key lives in Vault."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiohttp

from tests.conftest import StartVendor
from tests.roles.router.test_chat import ANSWER
from tests.servers.process import node_process
from tests.servers.secret_stores import VaultServer
from tests.servers.vendor import Play

ASKED = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}


async def test_a_key_that_changes_in_vault_is_used_without_a_restart(
    tmp_path: Path, start_vendor: StartVendor, http: aiohttp.ClientSession
) -> None:
    vendor, vault = await start_vendor(Play.json(ANSWER)), VaultServer()
    vault.v2["openai"] = {"key": "planted-key-one-01234567"}
    with vault.running() as vault_url:
        file = tmp_path / "node.toml"
        file.write_text(
            f'[paths]\ndata_dir = "{tmp_path / "data"}"\n[server]\nport = 0\n[secrets]\nrefresh_seconds = 0.5\n[secrets.vault]\n'
            f'address = "{vault_url}"\ntoken = "root-token"\n[[model_registry.providers]]\nname = "v"\nkind = "openai_compatible"\n'
            f'endpoint = "{vendor.url}/v1"\nmodels = ["m"]\napi_key = "vault://secret/openai#key"\n'
        )
        async with node_process("--role", "Router", "--config", str(file)) as node:
            url = await node.url()

            async def used() -> str:
                async with http.post(f"{url}/v1/chat/completions", json=ASKED) as reply:
                    assert reply.status == 200, await reply.text()
                return vendor.received[-1].headers["authorization"]

            async def part() -> dict[str, str]:
                async with http.get(f"{url}/health") as reply:
                    found: dict[str, str] = (await reply.json())["parts"]["secrets"]
                    return found

            assert await used() == "Bearer planted-key-one-01234567"
            vault.v2["openai"] = {"key": "planted-key-two-01234567"}
            async with asyncio.timeout(60):
                while await used() != "Bearer planted-key-two-01234567":  # noqa: ASYNC110  of another process
                    await asyncio.sleep(0.1)
            vault.down = True
            async with asyncio.timeout(60):
                while (await part())["status"] == "healthy":  # noqa: ASYNC110  of another process
                    await asyncio.sleep(0.1)
            assert "vault://secret/openai#key" in (await part())["reason"]
            assert await used() == "Bearer planted-key-two-01234567"
            vault.down = False
            async with asyncio.timeout(60):
                while (await part())["status"] != "healthy":  # noqa: ASYNC110  of another process
                    await asyncio.sleep(0.1)
    assert "planted-key" not in str(node.lines)
