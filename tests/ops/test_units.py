"""A command by hand sees what the node of a systemd unit sees."""

from __future__ import annotations

import json
import os
import pwd
import subprocess
import sys
from pathlib import Path

import pytest

from intellirouter.cli import node_configuration, node_unit
from intellirouter.errors import ConfigError, NotFound
from intellirouter.ops.units import parse_environment, unit_named, unit_of

SHIPPED = Path(__file__).parents[2] / "packaging/systemd"


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The shipped units, moved to a tree of their own."""
    folder = tmp_path / "units"
    folder.mkdir()
    for file in SHIPPED.iterdir():
        text = file.read_text().replace("/opt/intellirouter", str(tmp_path / "opt"))
        (folder / file.name).write_text(text.replace("User=intellirouter", "User=nobody"))
    for name in ("config", "env", "data"):
        (tmp_path / "opt" / name).mkdir(parents=True)
    for name in ("router", "second"):
        (tmp_path / f"opt/config/{name}.toml").write_text(
            '[ipc.security]\nenabled = true\ntoken = "${IPC_TOKEN}"\n'
        )
        (tmp_path / f"opt/env/{name}.env").write_text(
            f"# a comment\nIPC_TOKEN='quoted-{name}-secret-0001'\nINTELLIROUTER_ROLE=Router\n"
        )
    return folder


def test_the_unit_whose_node_reads_a_file_is_found(installed: Path, tmp_path: Path) -> None:
    config = tmp_path / "opt/config"
    unit = unit_of(config / "router.toml", (installed,))
    assert unit is not None
    assert (unit.name, unit.role, unit.user, unit.open_files) == (
        "intellirouter-router.service",
        "Router",
        "nobody",
        65536,
    )
    assert unit.environment()["IPC_TOKEN"] == "quoted-router-secret-0001"
    second = unit_of(config / "second.toml", (installed,))
    assert second is not None
    assert second.name == "intellirouter@second.service"
    assert second.environment()["IPC_TOKEN"] == "quoted-second-secret-0001"
    assert unit_of(tmp_path / "elsewhere.toml", (installed,)) is None
    (config / "alias.toml").symlink_to(config / "router.toml")
    alias = unit_of(config / "alias.toml", (installed,))
    assert alias is not None
    assert alias.name == "intellirouter-router.service"


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("router", "intellirouter-router.service"),
        ("intellirouter-router", "intellirouter-router.service"),
        ("intellirouter-rag-manager.service", "intellirouter-rag-manager.service"),
        ("@second", "intellirouter@second.service"),
        ("second", "intellirouter@second.service"),
    ],
)
def test_a_unit_may_be_named_in_short(installed: Path, name: str, full: str) -> None:
    assert unit_named(name, (installed,)).name == full


def test_a_unit_that_is_not_there_is_refused_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no unit 'rooter'"):
        unit_named("rooter", (tmp_path,))


def test_drop_ins_change_it(installed: Path, tmp_path: Path) -> None:
    folder = installed / "intellirouter-router.service.d"
    folder.mkdir()
    (tmp_path / "more.env").write_text("MORE=1\n")
    (folder / "10-more.conf").write_text(
        f"[Service]\nUser=\nUser=somebody\nEnvironment=A=1 'B=2 3'\nEnvironmentFile=-{tmp_path}/none.env\n"
        f"EnvironmentFile={tmp_path}/more.env\nLimitNOFILE=1024\n[Unit]\nUser=nothing\n"
    )
    unit = unit_named("router", (installed,))
    assert (unit.user, unit.open_files) == ("somebody", 1024)
    given = unit.environment()
    assert (given["A"], given["B"], given["MORE"]) == ("1", "2 3", "1")


def test_an_environment_file_is_read_as_systemd_reads_it() -> None:
    text = 'A=1\n#B=2\n;C=3\n D = 4\nE=\'five 5\'\nF="six \\"6\\""\nG=se\\\nven\nnot a line\nH=\n'
    assert parse_environment(text) == {"A": "1", "E": "five 5", "F": 'six "6"', "G": "seven", "H": ""}


SCRIPT = """
import json, os, sys
from pathlib import Path
from intellirouter.cli import node_configuration, node_unit
node_unit.UNIT_DIRS = (Path(sys.argv[1]),)
loaded = node_configuration.configured(Path(sys.argv[2]) if sys.argv[2] else None, "router.toml", sys.argv[3] or None)
print(json.dumps({
    "uid": os.geteuid(), "home": os.environ["HOME"], "stray": os.environ.get("OPENAI_API_KEY"),
    "token": loaded.settings.ipc.security.token.get_secret_value(), "file": str(loaded.file),
}))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root takes on another user")
@pytest.mark.parametrize(("config", "unit"), [("opt/config/router.toml", ""), ("", "router")])
def test_root_sees_what_the_node_sees_and_goes_on_as_its_user(
    installed: Path, tmp_path: Path, config: str, unit: str
) -> None:
    for place in (tmp_path, *tmp_path.parents):
        if place != Path("/") and not place.stat().st_mode & 0o001:
            place.chmod(place.stat().st_mode | 0o055)  # as it is below /opt
    for place in (tmp_path / "opt", *(tmp_path / "opt").rglob("*")):
        place.chmod(0o755 if place.is_dir() else 0o644)
    (tmp_path / "opt/env").chmod(0o700)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(installed), str(tmp_path / config) if config else "", unit],
        capture_output=True,
        text=True,
        timeout=60,
        env={"PATH": os.environ["PATH"], "HOME": "/root", "OPENAI_API_KEY": "of-root"},
        cwd=Path(__file__).parents[2],
        check=False,
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    account = pwd.getpwnam("nobody")
    assert (seen["uid"], seen["home"]) == (account.pw_uid, account.pw_dir)
    assert seen["stray"] is None
    assert seen["token"] == "quoted-router-secret-0001"
    assert seen["file"] == str(tmp_path / "opt/config/router.toml")
    assert "with the environment of intellirouter-router.service and its user nobody" in done.stderr


def test_who_may_not_read_the_environment_is_told_what_to_do(
    installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node_unit, "UNIT_DIRS", (installed,))
    monkeypatch.setattr(node_unit.os, "geteuid", lambda: 1000)
    monkeypatch.setattr(node_unit.os, "access", lambda *_: False)
    monkeypatch.delenv("IPC_TOKEN", raising=False)
    with pytest.raises(ConfigError) as refused:
        node_configuration.configured(tmp_path / "opt/config/router.toml", "router.toml")
    assert "the environment has no IPC_TOKEN" in refused.value.message
    assert (
        f"{tmp_path}/opt/env/router.env, which only root may read: run this command as root"
        in refused.value.message
    )


@pytest.mark.parametrize("there", [True, False])
def test_who_acts_for_a_unit_or_names_no_file_is_told_nothing_of_one(
    there: bool, installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node_unit, "UNIT_DIRS", (installed,))
    monkeypatch.setattr(node_unit.os, "access", lambda *_: False)
    file = tmp_path / "opt/config/router.toml"
    assert "only root may read" in node_unit.advice(file)
    if there:
        monkeypatch.setenv("INVOCATION_ID", "1")
        monkeypatch.setenv("JOURNAL_STREAM", "8:1")
    assert node_unit.advice(file if there else None) == ""
