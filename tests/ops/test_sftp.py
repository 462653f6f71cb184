"""Files on a server by SFTP: one is made once, and what was begun in vain is taken away."""

from __future__ import annotations

import getpass
from pathlib import Path

import pytest

from intellirouter.ops.backup import place
from tests.servers.sshd import sshd


def test_a_file_is_made_once_and_nothing_is_left_of_a_second_try(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ssh").mkdir(mode=0o700)
    (tmp_path / "keys").mkdir()
    with sshd(tmp_path / "keys") as server:
        (tmp_path / ".ssh/known_hosts").write_text(server.known_hosts)
        monkeypatch.setenv("INTELLIROUTER_SSH_KEY", str(server.key))
        where = place.directory(f"sftp://{getpass.getuser()}@127.0.0.1:{server.port}{tmp_path}/there")
        file = place.file(f"{where}/lock")
        assert place.create(file, b"first") is True
        assert place.create(file, b"second") is False
    assert [(one.name, one.read_bytes()) for one in (tmp_path / "there").iterdir()] == [("lock", b"first")]
