"""Requests made from the node's own description, with a developer's and an auditor's token: no fault of ours, nothing beyond their role.

A few of each operation; INTELLIROUTER_FUZZ_EXAMPLES says how many, for whoever has the time.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
import pytest_asyncio
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Case

from intellirouter.app.api import api_document
from intellirouter.security.permissions import of_role
from tests.servers.installation import Installation, installed

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(600)]
EXAMPLES = int(os.environ.get("INTELLIROUTER_FUZZ_EXAMPLES", "1"))
PATIENCE = 20.0
NOT_HERE = frozenset(
    {"state_unavailable", "peer_unavailable", "embedding_unavailable", "upstream_unreachable"}
)
"""503s of a node without an embedding model and without providers: told, and no fault."""


def key(role: str) -> str:
    digest = hashlib.sha256(role.encode()).hexdigest()
    return f'[[auth.keys]]\nname = "{role}"\nsha256 = "{digest}"\nroles = ["{role}"]\n'


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Installation]:
    toml = "[auth]\nenabled = true\n" + key("developer") + key("auditor")
    async with installed("one", tmp_path_factory.mktemp("described"), toml) as made:
        yield made


def walked(urls: dict[str, str], role: str) -> list[str]:
    """Ask every operation; what was wrong."""
    document: dict[str, Any] = msgspec.json.decode(api_document())
    held, wrong = of_role(role), []
    for result in schemathesis.openapi.from_dict(document).get_all_operations():
        operation = result.ok()
        raw = document["paths"][operation.path][operation.method.lower()]
        asked = {name for one in raw["security"] for names in one.values() for name in names}
        for problem in _asked(operation, urls[raw["tags"][0]], role, allowed=asked <= held):
            wrong.append(f"{operation.label}: {problem}")
    return wrong


def _asked(operation: Any, url: str, role: str, *, allowed: bool) -> list[str]:
    wrong: list[str] = []

    @settings(
        max_examples=EXAMPLES, database=None, deadline=None, derandomize=EXAMPLES == 1, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=operation.as_strategy())
    def one(case: Case) -> None:
        sent = case.as_transport_kwargs(base_url=url)
        sent["headers"] = {**(sent.get("headers") or {}), "authorization": f"Bearer {role}"}
        with requests.request(**sent, timeout=PATIENCE, stream=True, allow_redirects=False) as reply:
            status = reply.status_code
            if status < 400 and allowed:
                return  # a stream may have no end
            text = reply.text
        if status >= 500 and not (status in (502, 503, 504) and any(code in text for code in NOT_HERE)):
            wrong.append(f"{status} {text[:300]} for {str(sent)[:500]}")
        if not allowed and status not in (400, 403, 404, 405):
            wrong.append(f"{role} was not refused: {status} {text[:200]}")

    one()
    return wrong


@pytest.mark.parametrize("role", ["developer", "auditor"])
async def test_no_fault_and_nothing_beyond_the_role(place: Installation, role: str) -> None:
    assert await asyncio.to_thread(walked, place.urls, role) == []
