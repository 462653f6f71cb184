"""What the guides say is so: their commands run, their configurations hold, their links lead somewhere."""

from __future__ import annotations

import asyncio
import itertools
import os
import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest
from aiohttp import web

from intellirouter.app.node_files import running
from intellirouter.app.rules import RULES
from intellirouter.config.load import load
from tests.docs.blocks import GUIDES, ROOT, Block, blocks
from tests.docs.vendor import application
from tests.servers.minilm import minilm
from tests.servers.process import node_process
from tests.servers.warm.process import warm_command

PORTS = {"Router": 8080, "ChainEngine": 8081, "RagManager": 8082, "PersonaLayer": 8083}
PARTS = [pytest.param(guide, id=str(guide.relative_to(ROOT))) for guide in GUIDES]
RUN = [
    pytest.param(guide, id=str(guide.relative_to(ROOT)))
    for guide in GUIDES
    if any(b.runs for b in blocks(guide))
]
CONFIGURATIONS = [
    pytest.param(block, id=block.place) for guide in GUIDES for block in blocks(guide) if block.checked
]


@pytest.mark.parametrize("guide", PARTS)
def test_every_block_is_run_or_says_why_not(guide: Path) -> None:
    silent = [block.place for block in blocks(guide) if not (block.runs or block.checked or block.reason)]
    assert not silent, 'mark it: run, or reason="…"'


@pytest.mark.parametrize("guide", PARTS)
def test_no_command_hides_in_an_indented_block(guide: Path) -> None:
    lines = re.sub(r"^```.*?^```", "", guide.read_text(encoding="utf-8"), flags=re.M | re.S).splitlines()
    hidden = [
        line for before, line in itertools.pairwise(lines) if not before.strip() and line.startswith("    ")
    ]
    assert not hidden


@pytest.mark.parametrize("guide", PARTS)
def test_every_link_leads_somewhere(guide: Path) -> None:
    text = guide.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith(("http://", "https://")):
            continue
        name, _, anchor = target.partition("#")
        file = (guide.parent / name).resolve() if name else guide
        assert file.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
            anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert anchor in anchors, target


@pytest.mark.parametrize("guide", PARTS)
def test_every_guide_has_a_table_of_its_sections(guide: Path) -> None:
    text = re.sub(r"^```.*?^```", "", guide.read_text(encoding="utf-8"), flags=re.M | re.S)
    sections = re.findall(r"^## (.+)$", text, re.MULTILINE)
    listed = re.findall(r"^- \[(.+)\]\(#", text, re.MULTILINE)
    if len(sections) > 1 and guide.name not in ("CHANGELOG.md",):
        missing = [section for section in sections if section not in listed]
        assert missing in ([], ["Licence"])


def test_the_readme_is_read_in_five_minutes() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 200


@pytest.mark.parametrize("block", CONFIGURATIONS)
def test_every_configuration_holds(block: Block, tmp_path: Path) -> None:
    file = tmp_path / "node.toml"
    file.write_text(block.text, encoding="utf-8")
    names = re.findall(r"\$\{([A-Z_0-9]+)\}", block.text) + re.findall(r'api_key_env = "(\w+)"', block.text)
    values = {
        name: "postgresql://nobody@127.0.0.1/knows"
        if name.endswith("_URL")
        else "a-value-that-nobody-knows-1"
        for name in names
    }
    load(file, values, None, RULES)


@pytest.mark.parametrize("guide", RUN)
async def test_every_command_runs_in_order(guide: Path, tmp_path: Path) -> None:
    """On a fresh data directory, beside a node whose ports are free ones: the text is changed in nothing but these."""
    runner = web.AppRunner(application())
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        vendor = runner.addresses[0][1]
        environment = prepared(tmp_path, vendor)
        async with node_process("--config", "node.toml", environment=environment, folder=tmp_path) as node:
            await node.event("server.listening", count=len(PORTS))
            addresses = await listening(Path(environment["INTELLIROUTER__PATHS__DATA_DIR"]))
            for block in blocks(guide):
                if block.runs:
                    await execute(block, tmp_path, environment, addresses)
    finally:
        await runner.cleanup()


def prepared(directory: Path, vendor: int) -> dict[str, str]:
    """What a reader has: the repository's files, a directory of their own, and a vendor's key."""
    shutil.copytree(ROOT / "config", directory / "config")
    (directory / "node.toml").write_text(
        f'[server]\nport = 0\n[[model_registry.providers]]\nname = "openai"\nkind = "openai_compatible"\n'
        f'endpoint = "http://127.0.0.1:{vendor}/v1"\napi_key_env = "OPENAI_API_KEY"\n'
        f'[rag]\nembedding_model_path = "{minilm()}"\n'
    )
    programs = directory / "bin"
    programs.mkdir()
    (programs / "intellirouter").write_text(f'#!/bin/sh\nexec {shlex.join(warm_command())} "$@"\n')
    (programs / "intellirouter").chmod(0o755)
    return {
        "PATH": f"{programs}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(directory / "home"),
        "LANG": "C.UTF-8",
        "COLUMNS": "80",
        "OPENAI_API_KEY": "sk-proj-f3c1a9d07b52e8641f0c",
        "PYTHONPATH": str(ROOT),
        "INTELLIROUTER_CONFIG": str(directory / "node.toml"),
        "INTELLIROUTER__PATHS__DATA_DIR": str(directory / "data"),
    }


async def listening(data_dir: Path) -> dict[str, str]:
    """By role, where the node listens."""
    async with asyncio.timeout(60):
        while True:
            roles = {name: url for node in running(data_dir) for name, url in node.roles.items()}
            if PORTS.keys() <= roles.keys():
                return roles
            await asyncio.sleep(0.1)


async def execute(
    block: Block, directory: Path, environment: dict[str, str], addresses: dict[str, str]
) -> None:
    text = block.text
    for role, port in PORTS.items():
        text = text.replace(f"http://127.0.0.1:{port}", addresses[role])
    program = ["bash", "-euo", "pipefail", "-c"] if block.language != "python" else [sys.executable, "-c"]
    process = await asyncio.create_subprocess_exec(
        *program,
        text,
        cwd=directory,
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(150):
            printed, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    said = printed.decode("utf-8", "replace")
    assert process.returncode == 0, f"{block.place}: exit code {process.returncode}\n{text}\n{said}"
    assert "Traceback" not in said, f"{block.place}\n{said}"
    assert not re.search(r'"error": ?\{', said) or block.language == "python", f"{block.place}\n{said}"
