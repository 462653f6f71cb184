"""Who holds one permission of chains reaches nothing that another stands for, also when the other was held before."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from tests.servers.installation import ADMIN, configured_key, installed

CHAIN = "chain: {name: c}\nsteps:\n  - {id: w, wait: {signal: go}}\noutput: steps.w\n"
POLICY = """
roles:
  forks: {permissions: ["runs:*"]}
  plans: {permissions: ["schedules:*"]}
  all: {permissions: ["chains:*", "runs:*"]}
  starts: {permissions: ["chains:start"]}
"""


async def test_one_permission_is_no_other(tmp_path: Path) -> None:
    policy = tmp_path / "rbac.yaml"
    policy.write_text(POLICY)
    toml = f'[auth]\nenabled = true\npolicy_file = "{policy}"\n' + configured_key(
        "author", scopes="inference chains"
    )
    for name in ("forks", "plans"):
        toml += configured_key(name).replace('scopes = ["inference"]', f'roles = ["{name}"]')
    async with installed("one", tmp_path, toml) as place:

        async def ask(key: str, method: str, path: str, body: Any = None) -> tuple[int, Any]:
            return await place.ask("ChainEngine", key, method, path, body)

        await place.put_chain("author", "c", CHAIN)
        run, other = [
            (await ask("author", "POST", "/v1/chains/c/runs", {"mode": "background"}))[1]["id"] for _ in "ab"
        ]
        assert (await ask("author", "POST", f"/v1/runs/{other}/cancel"))[0] == 200
        assert (await ask("author", "PUT", "/v1/schedules/s", {"chain": "c", "cron": "0 7 * * *"}))[0] == 201
        for key, path in (("plans", "/v1/schedules/s/trigger"), ("forks", f"/v1/runs/{other}/fork")):
            status, told = await ask(key, "POST", path, {"step": 1} if "fork" in path else None)
            assert status == 403 and "chains:start" in told["error"]["message"], told
        assert (await ask("author", "POST", "/v1/schedules/s/trigger"))[0] == 202
        async with asyncio.timeout(60):
            while (await ask("author", "GET", f"/v1/runs/{run}"))[1]["status"] != "waiting":  # noqa: ASYNC110  of a node
                await asyncio.sleep(0.02)
        maker = await place.make_key("maker", roles=["all"])
        _, link = await ask(maker, "POST", f"/v1/runs/{run}/signals/go/link", {})

        async def answered() -> int:
            async with place.http.post(place.urls["ChainEngine"] + link["path"], data={}) as reply:
                return reply.status

        for roles, expected in ((["starts"], 403), (["all"], 200)):
            change = await place.ask("Router", ADMIN, "PATCH", "/admin/keys/maker", {"roles": roles})
            assert change[0] == 200
            assert await answered() == expected, roles
