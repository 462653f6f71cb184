"""Coding agents themselves, in a tool loop, over vendors of other dialects: Claude Code and Codex.

They are kept from the network: all they can reach is the Router of the test.
"""

from __future__ import annotations

import asyncio
import json
import os
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import StartNode, StartVendor, provider
from tests.servers.dialects.model import INPUT_TOKENS, OUTPUT_TOKENS, Asked, Brain, Said, cut
from tests.servers.dialects.table import STAND_INS
from tests.servers.node_clients import command

WORDS = "Grüße from the file"


def reader(tool: str, arguments: dict[str, Any]) -> Brain:
    """A model that calls one tool and repeats what it said."""

    def think(asked: Asked) -> Said:
        assert tool in [offered["name"] for offered in asked.tools]
        if asked.results:
            return Said(cut(f"It says: {asked.results[-1][1]}"))
        return Said(calls=(("call_a1b", tool, json.dumps(arguments)),))

    return think


async def run(arguments: tuple[str, ...], folder: Path, environment: dict[str, str]) -> str:
    """What a command printed. Its home is empty, and any proxy it may ask is deaf."""
    home = folder.parent / "home"
    home.mkdir(exist_ok=True)
    alone = {"HOME": str(home), "HTTPS_PROXY": "http://127.0.0.1:9", "NO_PROXY": "127.0.0.1"}
    process = await asyncio.create_subprocess_exec(
        *arguments,
        cwd=folder,
        env={"PATH": os.environ["PATH"], **alone, **environment},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        said, complaint = await asyncio.wait_for(process.communicate(), 90)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, said.decode() + complaint.decode()
    return said.decode()


@pytest.fixture
def note(tmp_path: Path) -> Path:
    """A file to be read, in a folder of its own."""
    file = tmp_path / "project" / "note.txt"
    file.parent.mkdir()
    file.write_text(WORDS)
    return file


@pytest.mark.parametrize("kind", ["openai", "google", "mistral", "ollama", "openai_responses"])
async def test_claude_code_reads_a_file_through_a_vendor_of_another_dialect(
    start_node: StartNode, start_vendor: StartVendor, note: Path, kind: str
) -> None:
    brain = reader("Read", {"file_path": str(note)})
    vendor = await start_vendor(
        partial(STAND_INS[kind].answer, brain=brain), by_path=dict(STAND_INS[kind].paths)
    )
    node = await start_node(provider(vendor, kind=kind))
    environment = {
        "ANTHROPIC_BASE_URL": node.listening[0].url,
        "ANTHROPIC_AUTH_TOKEN": "unused",
        "ANTHROPIC_MODEL": "primary/m",
        "ANTHROPIC_DEFAULT_HAIKU_MODEL": "primary/m",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    }
    asked = ("-p", "What does note.txt say?", "--output-format", "json", "--allowedTools", "Read")
    result = json.loads(await run((command("claude"), *asked), note.parent, environment))
    assert not result["is_error"]
    assert WORDS in result["result"]
    usage = result["usage"]
    read = usage["input_tokens"] + usage["cache_read_input_tokens"] + usage["cache_creation_input_tokens"]
    assert (read, usage["output_tokens"]) == (2 * INPUT_TOKENS, 2 * OUTPUT_TOKENS)
    assert len(vendor.received) == 2


@pytest.mark.parametrize("kind", ["openai", "anthropic", "google", "mistral", "ollama", "openai_responses"])
async def test_codex_runs_a_command_through_a_vendor_of_another_dialect(
    start_node: StartNode, start_vendor: StartVendor, note: Path, kind: str
) -> None:
    """And through its own, whose stand-in knows the fields that Codex sends beside the documented ones."""
    brain = reader("exec_command", {"cmd": "cat note.txt"})
    vendor = await start_vendor(partial(STAND_INS[kind].answer, brain=brain))
    node = await start_node(provider(vendor, kind=kind))
    home = note.parent.parent / "home"
    home.mkdir()
    (home / "config.toml").write_text(
        'model = "primary/m"\nmodel_provider = "router"\n[model_providers.router]\nname = "router"\n'
        f'base_url = "{node.listening[0].url}/v1"\nwire_api = "responses"\nenv_key = "ROUTER_KEY"\n'
    )
    asked = ("exec", "--json", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox")
    told = await run(
        (command("codex"), *asked, "What does note.txt say?"),
        note.parent,
        {"CODEX_HOME": str(home), "ROUTER_KEY": "unused"},
    )
    events = [json.loads(line) for line in told.splitlines()]
    items = [event["item"] for event in events if event["type"] == "item.completed"]
    (ran,) = [item for item in items if item["type"] == "command_execution"]
    assert (ran["aggregated_output"], ran["exit_code"]) == (WORDS, 0)
    (said,) = [item["text"] for item in items if item["type"] == "agent_message"]
    assert said.startswith("It says:")
    assert WORDS in said
    usage = next(event["usage"] for event in events if event["type"] == "turn.completed")
    assert (usage["input_tokens"], usage["output_tokens"]) == (2 * INPUT_TOKENS, 2 * OUTPUT_TOKENS)
    assert len(vendor.received) == 2
