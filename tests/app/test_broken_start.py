"""A node that cannot start says why in one line, and what helps: no traceback, and no question at the terminal."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.servers.certificates import Authority
from tests.servers.process import command


def linked(folder: Path) -> str:
    (folder / "data").symlink_to(folder / "disk")
    return ""


def a_file(folder: Path) -> str:
    (folder / "data").write_text("")
    return ""


def chains_folder(folder: Path) -> str:
    (folder / "data/chains.db").mkdir(parents=True)
    return ""


def chains_text(folder: Path) -> str:
    (folder / "data").mkdir()
    (folder / "data/chains.db").write_bytes(b"this is no database at all, " * 100)
    return ""


def chains_lock(folder: Path) -> str:
    (folder / "data/chains.db.lock").mkdir(parents=True)
    return ""


def state_text(folder: Path) -> str:
    (folder / "data").mkdir()
    (folder / "data/state.db").write_bytes(b"this is no database at all, " * 100)
    return ""


def swapped(folder: Path) -> str:
    certificate, key = Authority(folder).issue("Router")
    return f'[server.tls]\ncertificate = "{key}"\nkey = "{certificate}"\n'


def locked(folder: Path) -> str:
    certificate, key = Authority(folder).issue("Router")
    words = ["openssl", "pkey", "-in", str(key), "-aes256", "-passout", "pass:one", "-out", f"{key}.locked"]
    subprocess.run(words, check=True)
    return f'[server.tls]\ncertificate = "{certificate}"\nkey = "{key}.locked"\n'


@pytest.mark.parametrize(
    ("build", "code", "told"),
    [
        (linked, 78, ["is a link to", "is the disk mounted?"]),
        (a_file, 78, ["is no directory"]),
        (chains_folder, 1, ["chains.db, cannot be opened", "`intellirouter diagnose`"]),
        (chains_text, 1, ["chains.db, cannot be opened: file is not a database", "`intellirouter diagnose`"]),
        (chains_lock, 1, ["chains.db.lock, cannot be opened", "Is a directory"]),
        (state_text, 1, ["state.db cannot be opened: file is not a database", "`intellirouter diagnose`"]),
        (swapped, 78, ["cannot be used", "the wrong way round"]),
        (locked, 78, ["cannot be used", "locked by a passphrase"]),
    ],
)
async def test_what_is_broken_is_said(
    build: Callable[[Path], str], code: int, told: list[str], tmp_path: Path
) -> None:
    file = tmp_path / "node.toml"
    file.write_text(f'{build(tmp_path)}[paths]\ndata_dir = "{tmp_path / "data"}"\n')
    file.chmod(0o600)
    returned, out, errors = await command(
        "run", "--role", "ChainEngine", "--port", "0", "--config", str(file)
    )
    assert returned == code, errors
    assert all(words in errors for words in told), errors
    assert "Traceback" not in errors
    assert "pass phrase" not in out + errors
    assert len([line for line in errors.splitlines() if line.startswith("error:")]) == 1
