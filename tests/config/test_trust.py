"""A configuration that lies where somebody stands is named when it is used, and not used when it may be a stranger's."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from intellirouter.config.load import find_file
from intellirouter.errors import ConfigError
from tests.servers.warm.process import warm_command

ELSE = 12_345


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "here"
    (folder / "config").mkdir(parents=True)
    (folder / "config/intellirouter.toml").write_text("[server]\nport = 7\n")
    monkeypatch.chdir(folder)
    return folder


def test_the_users_own_is_found(here: Path) -> None:
    assert find_file(None, {}, "router.toml") == Path("config/intellirouter.toml")


@pytest.mark.parametrize("place", ["config", "config/intellirouter.toml"])
def test_what_everybody_can_write_is_refused(here: Path, place: str) -> None:
    (here / place).chmod(0o777)
    with pytest.raises(ConfigError, match="can be written by every user") as caught:
        find_file(None, {}, "router.toml")
    assert str(here / place) in caught.value.message
    assert "--config config/intellirouter.toml" in caught.value.message
    assert caught.value.exit_code == 78


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
@pytest.mark.parametrize("place", ["config", "config/intellirouter.toml"])
def test_what_belongs_to_another_user_is_refused(here: Path, place: str) -> None:
    os.chown(here / place, ELSE, ELSE)
    with pytest.raises(ConfigError, match=f"another user .uid {ELSE}"):
        find_file(None, {}, "router.toml")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
@pytest.mark.parametrize("place", ["config", "config/intellirouter.toml"])
def test_a_strangers_link_to_ones_own_file_is_refused(here: Path, place: str) -> None:
    link = here / place
    link.rename(here / "own")
    link.symlink_to(here / "own")
    os.lchown(link, ELSE, ELSE)
    with pytest.raises(ConfigError, match="another user"):
        find_file(None, {}, "router.toml")


def test_who_names_it_is_believed(here: Path) -> None:
    (here / "config").chmod(0o777)
    named = Path("config/intellirouter.toml")
    assert find_file(named, {}, "router.toml") == named
    assert find_file(None, {"INTELLIROUTER_CONFIG": str(named)}, "router.toml") == named


async def test_every_command_says_which_it_found(here: Path) -> None:
    environment = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    environment["INTELLIROUTER__PATHS__DATA_DIR"] = str(here / "data")
    for words in (["validate-config", "--json"], ["keys", "list", "--json"]):
        process = await asyncio.create_subprocess_exec(
            *warm_command(),
            *words,
            env=environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, errors = await process.communicate()
        assert process.returncode == 0, errors
        assert f"configuration: {here}/config/intellirouter.toml" in errors.decode()
        assert b"configuration:" not in out
