"""What the commands show that look into a backup."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from intellirouter.cli.main import main
from intellirouter.config.load import load
from intellirouter.ops.backup import marks, place
from intellirouter.ops.backup.make import make


def called(capsysbinary: pytest.CaptureFixture[bytes], *words: str) -> tuple[int, bytes, bytes]:
    with pytest.raises(SystemExit) as ended:
        main(words)
    return int(ended.value.code or 0), *capsysbinary.readouterr()


@pytest.fixture
def backups(tmp_path: Path) -> list[str]:
    """Two of one node, between which a persona was changed, one came and one went."""
    config, personas = tmp_path / "node.toml", tmp_path / "data" / "personas"
    config.write_text(f"[paths]\ndata_dir = '{tmp_path / 'data'}'\n")
    personas.mkdir(parents=True)
    made = []
    for number, files in enumerate(({"a": "one", "gone": "x"}, {"a": "two!", "new": "y"})):
        for old in personas.iterdir():
            old.unlink()
        for name, text in files.items():
            (personas / f"{name}.toml").write_text(f'prompt = "{text}"')
        where = place.directory(str(tmp_path / f"place-{number}"))
        told: list[str] = []
        made.append(str(make(load(config, {}), where, told.append)[0]))
        assert [name for name in told if "personas" in name] == [f"personas/{name}.toml" for name in files]
    return made


def test_the_files_of_a_backup_are_listed_shown_and_compared(
    backups: list[str], capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    old, new = backups
    code, out, _ = called(capsysbinary, "backup", "ls", old, "personas/", "--json")
    assert [(each["name"], each["bytes"]) for each in json.loads(out)] == [
        ("personas/a.toml", 14),
        ("personas/gone.toml", 12),
    ]
    code, out, said = called(capsysbinary, "backup", "ls", old, "nothing/")
    assert (code, b"holds nothing that begins with nothing/" in said) == (2, True)
    assert called(capsysbinary, "backup", "cat", new, "personas/a.toml")[:2] == (0, b'prompt = "two!"')
    code, out, said = called(capsysbinary, "backup", "cat", new, "a.toml")
    assert (code, out) == (2, b"") and b"There is personas/a.toml" in said
    code, out, _ = called(capsysbinary, "backup", "diff", old, new)
    changed = [line for line in out.decode().splitlines() if "personas/" in line]
    assert changed == [
        "M personas/a.toml (14 bytes → 15 bytes)",
        "- personas/gone.toml (12 bytes)",
        "+ personas/new.toml (12 bytes)",
    ]


def test_a_check_that_read_nothing_of_full_backups_says_so(
    backups: list[str], capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    where = str(Path(backups[0]).parent)
    code, out, _ = called(capsysbinary, "backup", "check", where)
    assert (code, out.splitlines()[0]) == (0, b"1 backup: no problem.")
    assert b"Of 1 full backup nothing was read: --read-data-subset 100%" in out
    code, out, _ = called(capsysbinary, "backup", "check", where, "--read-data-subset", "100%")
    assert (code, out) == (0, b"1 backup: no problem.\n")
    _, out, _ = called(capsysbinary, "backup", "check", where, "--json")
    assert (json.loads(out)["archives"], json.loads(out)["archives_read"]) == (1, 0)


@pytest.mark.parametrize("keep", [0, 10, 500])
def test_a_backup_that_was_cut_short_is_called_that(
    backups: list[str], capsysbinary: pytest.CaptureFixture[bytes], keep: int
) -> None:
    short = Path(backups[0]).with_name("short.irbackup")
    short.write_bytes(Path(backups[0]).read_bytes()[:keep])
    for words in (("backup", "verify", str(short)), ("restore", str(short), "--dry-run")):
        code, _, said = called(capsysbinary, *words)
        assert code == 1
        assert said.decode().endswith(f"error: {short}: is no backup, or was cut short.\n")


def test_where_no_backup_is_asked_for_none_has_failed(
    tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    config = tmp_path / "node.toml"
    config.write_text(f"[paths]\ndata_dir = '{tmp_path / 'data'}'\n")
    for what in ("now", "drill"):
        code, _, said = called(capsysbinary, "backup", what, "--config", str(config))
        assert (code, b"[backup] to says where backups lie, and is not set." in said) == (2, True)
    assert marks.read(tmp_path / "data") == marks.Standing()


def test_a_file_is_no_place_for_backups(
    backups: list[str], capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    config = Path(backups[0]).parents[1] / "node.toml"
    code, _, said = called(capsysbinary, "backup", "--to", backups[0], "--config", str(config))
    assert (code, b"is a file: backups go into a directory." in said) == (2, True)
