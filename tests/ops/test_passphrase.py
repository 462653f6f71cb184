"""A passphrase opens the backups of a directory, in either form, and another one opens nothing."""

from __future__ import annotations

from pathlib import Path

import pyrage
import pytest

from intellirouter.cli.backup_keys import secret_keys
from intellirouter.config.load import Loaded, load
from intellirouter.errors import InvalidRequest
from intellirouter.ops.backup import archive, forms, passphrase, place
from intellirouter.ops.backup.make import make
from intellirouter.ops.backup.restore import restore

WORDS, OTHER = "four words nobody guesses", "four words somebody guesses"


def node(directory: Path) -> Loaded:
    """A node with one document."""
    (directory / "data/documents").mkdir(parents=True)
    (directory / "data/documents/one").write_bytes(b"planted-text" * 50_000)
    file = directory / "node.toml"
    file.write_text(f"[paths]\ndata_dir = '{directory / 'data'}'\n")
    return load(file, {})


def test_a_passphrase_opens_the_backups_of_a_directory(tmp_path: Path) -> None:
    loaded, backups = node(tmp_path), tmp_path / "backups"
    backups.mkdir()
    keys = passphrase.recipients(backups, WORDS)
    made = [
        make(loaded, backups, lambda _: None, keys, incremental=incremental) for incremental in (False, True)
    ]
    assert not any(b"planted" in file.read_bytes() for file in backups.rglob("*") if file.is_file())
    secret = passphrase.identities(backups, WORDS)
    for target, manifest in made:
        assert forms.verify(target) is None
        assert forms.verify(target, secret) == manifest
        (tmp_path / "data/documents/one").unlink()
        restore(target, loaded.settings, identities=secret)
        assert (tmp_path / "data/documents/one").read_bytes() == b"planted-text" * 50_000

    key = backups / passphrase.KEY
    text = pyrage.passphrase.decrypt(key.read_bytes(), WORDS).decode()  # as `age` would
    assert str(pyrage.x25519.Identity.from_str(text.strip()).to_public()) == str(keys[0])
    assert key.stat().st_mode & 0o777 == 0o600
    with pytest.raises(InvalidRequest, match="does not open it") as refused:
        passphrase.recipients(backups, OTHER)
    assert OTHER not in str(refused.value)


def test_the_key_that_came_first_stays(tmp_path: Path) -> None:
    file = tmp_path / "key"
    assert place.create(file, b"first")
    assert not place.create(file, b"second")
    assert file.read_bytes() == b"first"


@pytest.mark.parametrize(
    ("words", "why"), [(None, "No such file"), (b"short", "12 characters"), (b"\xff" * 20, "UTF-8")]
)
def test_a_bad_passphrase_file_is_refused(words: bytes | None, why: str, tmp_path: Path) -> None:
    file = tmp_path / "words"
    if words is not None:
        file.write_bytes(words)
    with pytest.raises(InvalidRequest, match=why):
        passphrase.read(file)


def test_a_backup_without_the_key_beside_it_says_so(tmp_path: Path) -> None:
    (tmp_path / "words").write_text(WORDS)
    with archive.create(tmp_path / "moved.irbackup", archive.Manifest(1, "test", "now")):
        pass
    with pytest.raises(InvalidRequest, match=passphrase.KEY):
        secret_keys(tmp_path / "moved.irbackup", None, tmp_path / "words")
