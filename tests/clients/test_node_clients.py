"""The SDKs of OpenAI and Anthropic for Node, in every cell of the table that the Python clients fill.

One Node process runs all cells (`node/sdks.mjs`) and prints what a user saw; each cell is a test of its own here.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.clients.anthropic_sdk import Anthropic
from tests.clients.openai_sdk import OpenAIChat, OpenAIResponses
from tests.clients.seen import PNG, SYSTEM, TOOL, Seen, Tokens, expected
from tests.servers.dialects.model import SHAPED
from tests.servers.dialects.table import STAND_INS
from tests.servers.node_clients import node_clients
from tests.servers.recorder import Recorder

pytestmark = pytest.mark.asyncio(loop_scope="module")

CLIENTS: dict[str, Any] = {"openai": OpenAIChat, "openai_responses": OpenAIResponses, "anthropic": Anthropic}
SCENARIOS: dict[str, list[dict[str, Any]]] = {
    "chat": [{"text": f"Grüezi 🌞! {SYSTEM} | Wie geht's, 東京?"}],
    "cut": [{"text": "Grüezi 🌞! Be", "finish": "length"}],
    "tools": [{"text": "", "finish": "tools", "calls": True}, {"text": "Told: sunny ☀; rain"}],
    "schema": [{"text": SHAPED}],
    "image": [{"text": f"I see image/png {PNG}"}],
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def told(tap: Recorder) -> dict[str, Any]:
    """What was seen, by cell."""
    directory = node_clients()
    models = {kind: f"{kind}/{stand_in.model}" for kind, stand_in in STAND_INS.items()}
    task = {"url": tap.url, "models": models, "system": SYSTEM, "png": PNG, "tool": TOOL}
    process = await asyncio.create_subprocess_exec(
        *("node", str(Path(__file__).parent / "node/sdks.mjs"), str(directory)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        said, complaint = await asyncio.wait_for(process.communicate(json.dumps(task).encode()), 120)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, complaint.decode()
    cells: dict[str, Any] = json.loads(said)
    return cells


@pytest.mark.parametrize("stream", ["whole", "stream"])
@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("kind", STAND_INS)
@pytest.mark.parametrize("by", CLIENTS)
async def test_a_node_client_sees_what_the_python_client_sees(
    told: dict[str, Any], by: str, kind: str, scenario: str, stream: str
) -> None:
    cell = told[f"{by}/{kind}/{scenario}/{stream}"]
    assert not isinstance(cell, dict), cell["error"]
    want = [expected(CLIENTS[by], kind, **answer) for answer in SCENARIOS[scenario]]
    assert [_seen(answer) for answer in cell] == want


def _seen(answer: dict[str, Any]) -> Seen:
    counts = {name: answer.get(name) for name in ("cached", "written", "thought")}
    return Seen(
        text=answer["text"],
        calls=tuple((name, arguments) for name, arguments in answer["calls"]),
        finish=answer["finish"],
        model=answer["model"],
        tokens=Tokens(answer["read"], answer["wrote"], **counts),
    )
