"""A backup comes back whole, into a stopped node, and what it replaced is kept."""

from __future__ import annotations

import io
import shutil
import sqlite3
from pathlib import Path

import msgspec
import numpy as np
import pytest

from intellirouter.config.load import Loaded, load
from intellirouter.errors import Conflict, InvalidRequest, StateError
from intellirouter.memory.embedded.store import EmbeddedStore
from intellirouter.memory.open import FILE
from intellirouter.ops.backup import outside
from intellirouter.ops.backup import restore as restoring
from intellirouter.ops.backup.archive import BackupDamaged
from intellirouter.ops.backup.make import make
from intellirouter.ops.backup.restore import restore
from intellirouter.vectors.chroma.embedded import EmbeddedChroma
from intellirouter.vectors.index import Hit


async def filled(directory: Path) -> tuple[Loaded, Path]:
    """A node with records and files, and its backup."""
    data = directory / "data"
    for name in ("personas/a.yaml", "documents/deep/b.txt"):
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        (data / name).write_text(name)
    file = directory / "node.toml"
    file.write_text(f"[paths]\ndata_dir = '{data}'\n")
    loaded = load(file, {})
    store = await EmbeddedStore(data / FILE).open()
    for number in range(100):
        await store.set(f"key:{number}", str(number).encode())
    await store.aclose()
    archive, _ = make(loaded, directory / "backups", lambda name: None)
    return loaded, archive


async def assert_whole(data: Path) -> None:
    store = await EmbeddedStore(data / FILE).open()
    try:
        for number in range(100):
            assert await store.get(f"key:{number}") == str(number).encode()
    finally:
        await store.aclose()
    for name in ("personas/a.yaml", "documents/deep/b.txt"):
        assert (data / name).read_text() == name


async def test_a_destroyed_node_comes_back(tmp_path: Path) -> None:
    loaded, archive = await filled(tmp_path)
    data = loaded.settings.paths.data_dir
    shutil.rmtree(data)
    restore(archive, loaded.settings)
    await assert_whole(data)


async def test_what_is_replaced_is_kept(tmp_path: Path) -> None:
    loaded, archive = await filled(tmp_path)
    data = loaded.settings.paths.data_dir
    (data / "personas/a.yaml").write_text("newer")
    (data / "personas/c.yaml").write_text("later")
    aside = restore(archive, loaded.settings)
    await assert_whole(data)
    assert not (data / "personas/c.yaml").exists()
    assert (aside / "personas/c.yaml").read_text() == "later"
    connection = sqlite3.connect(aside / "state")
    assert connection.execute("select count(*) from entry").fetchone() == (100,)
    connection.close()


async def test_a_damaged_archive_touches_nothing(tmp_path: Path) -> None:
    loaded, archive = await filled(tmp_path)
    data = bytearray(archive.read_bytes())
    data[len(data) // 2] ^= 1
    archive.write_bytes(data)
    with pytest.raises(BackupDamaged):
        restore(archive, loaded.settings)
    await assert_whole(loaded.settings.paths.data_dir)


async def test_a_running_node_is_refused(tmp_path: Path) -> None:
    loaded, archive = await filled(tmp_path)
    store = await EmbeddedStore(loaded.settings.paths.data_dir / FILE).open()
    try:
        with pytest.raises(Conflict, match="in use"):
            restore(archive, loaded.settings)
    finally:
        await store.aclose()
    restore(archive, loaded.settings)


@pytest.mark.parametrize("at", range(6))
async def test_a_move_that_fails_is_undone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    loaded, archive = await filled(tmp_path)
    data = loaded.settings.paths.data_dir
    real, moved = shutil.move, []

    def move(old: Path, new: Path) -> object:
        if len(moved) == at:
            moved.append(old)
            raise OSError(28, "No space left on device", str(new))
        moved.append(old)
        return real(old, new)

    monkeypatch.setattr(restoring.shutil, "move", move)
    with pytest.raises(OSError, match="No space"):
        restore(archive, loaded.settings)
    monkeypatch.undo()
    await assert_whole(data)


async def test_one_store_may_be_chosen(tmp_path: Path) -> None:
    loaded, archive = await filled(tmp_path)
    data = loaded.settings.paths.data_dir
    shutil.rmtree(data)
    restore(archive, loaded.settings, ["personas"])
    assert (data / "personas/a.yaml").exists()
    assert not (data / FILE).exists()
    with pytest.raises(InvalidRequest, match="no store 'nothing'"):
        restore(archive, loaded.settings, ["nothing"])


class Forgetful(EmbeddedChroma):
    """An index that takes vectors and finds none."""

    async def query(self, *_: object, **__: object) -> list[Hit]:
        return []


def test_an_index_that_does_not_answer_for_what_it_was_given_is_not_put_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vectors = tmp_path / "vectors"
    row = ["c-one", ["a", "b"], 3, np.eye(3, dtype=np.float32)[:2].tobytes()]
    data = msgspec.msgpack.encode(row)
    vectors.write_bytes(len(data).to_bytes(4) + data)
    assert outside.vectors_from(vectors, ["c-one"], (), tmp_path / "well") == 2
    monkeypatch.setattr("intellirouter.vectors.chroma.embedded.EmbeddedChroma", Forgetful)
    with pytest.raises(StateError, match="finds nothing"):
        outside.vectors_from(vectors, ["c-one"], (), tmp_path / "forgetful")


DUMPED = f"""\
COPY dbos.other (id, name) FROM stdin;
1\tstrange
\\.

COPY dbos.workflow_status (id, "{outside.COLUMN}", output) FROM stdin;
1\t{outside.READER}\tx
2\t\\N\tx
3\tpickle\tx
\\.
SELECT 1\tstrange\t2;
COPY dbos.operation_outputs ({outside.COLUMN}) FROM stdin;
{outside.READER}
another
\\.
"""


def test_a_dump_is_searched_for_rows_that_name_a_strange_reader() -> None:
    found = [*outside._readers(io.BytesIO(DUMPED.encode()))]
    assert found == [("dbos.workflow_status", "pickle"), ("dbos.operation_outputs", "another")]
