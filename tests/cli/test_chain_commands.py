"""What the commands print that speak with a running ChainEngine."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from typer.testing import CliRunner

from intellirouter.cli.chain_events import _Printer
from intellirouter.cli.main import build
from tests.conftest import StartNode
from tests.roles.chain_engine.test_api import Client, auth

ECHO = "chain: {name: echo}\nsteps: [{id: a, set: {said: '1'}}]\n"

TOLD: list[tuple[str, list[tuple[str, dict[str, Any]]], str]] = [
    (
        "words run on in their line, and another step begins its own",
        [
            ("step_tokens", {"step": "a", "offset": 0, "text": "Hello"}),
            ("step_tokens", {"step": "a", "offset": 5, "text": " there"}),
            ("step_tokens", {"step": "b", "offset": 0, "text": "Hi"}),
            ("step_finished", {"number": 2, "path": "b", "outcome": {"ok": {"text": "Hi"}}}),
            ("step_finished", {"number": 3, "path": "c", "outcome": {"ok": {"text": "Bye"}}}),
        ],
        "a: Hello there\nb: Hi\n   2 b\n   3 c  Bye\n",
    ),
    (
        "a model that is asked again begins again",
        [
            ("step_tokens", {"step": "a", "offset": 0, "text": "Hel"}),
            ("step_tokens", {"step": "a", "offset": 0, "text": "Good"}),
            ("step_failed", {"number": 1, "path": "a", "outcome": {"error": {"message": "no"}}}),
        ],
        "a: Hel\na: Good\n   1 a  failed: no\n",
    ),
    (
        "what is waited for, and the end",
        [
            ("run_waiting", {"id": "run_1", "status": "waiting", "waiting_for": "approval"}),
            ("run_waiting", {"id": "run_1", "status": "waiting", "waiting_for": None}),
            ("run_ended", {"id": "run_1", "status": "succeeded"}),
        ],
        "run_1 waits for 'approval'.\nrun_1 waits until its time has come.\nrun_1 succeeded.\n",
    ),
]


@pytest.mark.parametrize(("events", "printed"), [one[1:] for one in TOLD], ids=[one[0] for one in TOLD])
def test_a_run_is_told_as_it_goes(
    events: list[tuple[str, dict[str, Any]]], printed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    printer = _Printer(as_json=False)
    for name, facts in events:
        printer.take(name, facts)
    assert capsys.readouterr().out == printed


async def test_a_trigger_says_its_address_and_secret_where_it_has_one(
    start_node: StartNode, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    node = await start_node(auth(ann="a"), role="ChainEngine")
    url = node.listening[0].url
    assert (await Client(http, url)("PUT", "/v1/chains/echo", {"source": ECHO}))[0] == 201

    async def trigger(*words: str) -> str:
        arguments = ["chain", "trigger", *words, "--chain", "echo", "--url", url, "--api-key", "ann"]
        done = await asyncio.to_thread(CliRunner().invoke, build("chain"), arguments)
        assert done.exit_code == 0, done.output
        return done.output

    first = await trigger("in", "--webhook")
    assert first.startswith("The trigger 'in' starts 'echo'.\naddress: ")
    assert "/v1/webhooks/" in first and "secret:  whsec_" in first
    assert "secret:  as before" in await trigger("in", "--webhook")
    assert await trigger("told", "--event", "order.*") == "The trigger 'told' starts 'echo'.\n"


@pytest.mark.parametrize(
    ("file", "name", "said"),
    [
        ("echo.yaml", "echo", "The chain 'echo' is there"),
        ("My echo (2).yaml", "echo", "The chain 'echo' is there"),  # no chain could be called so
        ("copy.yaml", "echo", "rename the file to echo.yaml, or the chain to 'copy'"),
        ("copy.yaml", "An echo", "chain.name: 'An echo' does not match"),
    ],
)
async def test_a_chain_is_put_under_its_own_name_and_no_copy_takes_its_place(
    start_node: StartNode, tmp_path: Path, file: str, name: str, said: str
) -> None:
    node = await start_node(auth(ann="a"), role="ChainEngine")
    (tmp_path / file).write_text(ECHO.replace("echo", name))
    arguments = [
        "chain", "put", str(tmp_path / file), "--url", node.listening[0].url, "--api-key", "ann",
    ]  # fmt: skip
    done = await asyncio.to_thread(CliRunner().invoke, build("chain"), arguments)
    told = " ".join(f"{done.output} {getattr(done.exception, 'message', '')}".split())
    assert said in told
    assert (done.exit_code == 0) == said.startswith("The chain")
