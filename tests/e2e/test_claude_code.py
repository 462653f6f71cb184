"""Claude Code itself, in a tool loop, over vendors of other dialects.

Needs the command `claude` (`npm install -g @anthropic-ai/claude-code`); without it these tests are skipped. It is kept from
the network: all it can reach is the Router of the test.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import StartNode, StartVendor, provider
from tests.servers.vendor import Play, Received

CLAUDE = shutil.which("claude")
WORDS = "Grüße from the file"
pytestmark = pytest.mark.skipif(CLAUDE is None, reason="the command 'claude' is not installed")


def openai_vendor(request: Received, path: Path) -> Play:
    """Reads the file, then repeats what the tool said."""
    messages = request.json["messages"]
    head = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "vendor-model"}

    def chunk(delta: dict[str, Any], reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        return json.dumps({**head, "choices": [choice]}).encode()

    results = [message["content"] for message in messages if message["role"] == "tool"]
    if results:
        pieces = [chunk({"content": f"It says: {results[-1]}"}), chunk({}, "stop")]
    else:
        call = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "Read", "arguments": ""}}
        arguments = json.dumps({"file_path": str(path)})
        pieces = [chunk({"tool_calls": [call]})]
        pieces += [
            chunk({"tool_calls": [{"index": 0, "function": {"arguments": letter}}]}) for letter in arguments
        ]
        pieces.append(chunk({}, "tool_calls"))
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    return Play.sse(*pieces, json.dumps({**head, "choices": [], "usage": usage}).encode(), b"[DONE]")


def ollama_vendor(request: Received, path: Path) -> Play:
    """The same in Ollama's words."""
    results = [message["content"] for message in request.json["messages"] if message["role"] == "tool"]
    message: dict[str, Any] = {"role": "assistant", "content": f"It says: {results[-1]}" if results else ""}
    if not results:
        message["tool_calls"] = [{"function": {"name": "Read", "arguments": {"file_path": str(path)}}}]
    head = {"model": "vendor-model", "created_at": "2026-01-01T00:00:00Z"}
    done = {"done": True, "done_reason": "stop", "prompt_eval_count": 10, "eval_count": 5}
    lines = [{**head, "message": message, "done": False}, {**head, **done}]
    return Play([json.dumps(line).encode() + b"\n" for line in lines])


VENDORS: dict[str, Callable[[Received, Path], Play]] = {"openai": openai_vendor, "ollama": ollama_vendor}


@pytest.mark.parametrize("kind", VENDORS)
async def test_claude_code_reads_a_file_through_a_vendor_of_another_dialect(
    start_node: StartNode, start_vendor: StartVendor, tmp_path: Path, kind: str
) -> None:
    file = tmp_path / "project" / "note.txt"
    file.parent.mkdir()
    file.write_text(WORDS)
    vendor = await start_vendor(lambda request: VENDORS[kind](request, file))
    node = await start_node(provider(vendor, kind=kind))
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "ANTHROPIC_BASE_URL": node.listening[0].url,
        "ANTHROPIC_AUTH_TOKEN": "unused",
        "ANTHROPIC_MODEL": "primary/m",
        "ANTHROPIC_DEFAULT_HAIKU_MODEL": "primary/m",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "NO_PROXY": "127.0.0.1",
    }
    assert CLAUDE is not None
    process = await asyncio.create_subprocess_exec(
        *(CLAUDE, "-p", "What does note.txt say?", "--output-format", "json", "--allowedTools", "Read"),
        cwd=file.parent,
        env=environment,
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
    assert process.returncode == 0, complaint.decode()
    result = json.loads(said)
    assert not result["is_error"]
    assert WORDS in result["result"]
    assert (result["usage"]["input_tokens"], result["usage"]["output_tokens"]) == (20, 10)
    assert len(vendor.received) == 2
    assert len(vendor.received[0].json["tools"]) > 10
