"""Sources that collections follow: only what changed is fetched, what is gone is removed, and a source that is away removes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from intellirouter.config.schema.rag import RagSection
from intellirouter.config.schema.rag_sources import RagSource
from intellirouter.errors import NotFound
from intellirouter.roles.rag_manager.open import open_rag
from intellirouter.roles.rag_manager.service import RagService
from intellirouter.roles.rag_manager.sources.timetable import Timetable, due
from intellirouter.security.sealing import Sealer
from tests.inference.learning.test_school import until
from tests.servers.minilm import minilm


class Watched:
    """A source of the service, looked at when the test says."""

    def __init__(self, service: RagService, section: RagSource) -> None:
        self.service, self.section = service, section
        self.timetable = Timetable((section,), service, service.sources.door)

    async def look(self, **wish: bool) -> dict[str, Any]:
        self.service.sources = self.timetable
        async with asyncio.timeout(60):
            row = await self.service.sync_source(self.section.tenant, self.section.name, **wish)
        return row | row["last"]

    async def documents(self) -> set[str]:
        rows = await self.service.documents(self.section.tenant, self.section.collection)
        return {row["name"].removeprefix(f"{self.section.name}/") for row in rows}


@asynccontextmanager
async def opened(directory: Path) -> AsyncIterator[RagService]:
    """One that seals what it keeps; the commands' tests have one that does not."""
    section = RagSection(embedding_model_path=minilm(), embedding_threads=1)
    async with open_rag(section, directory, sealer=Sealer((b"k" * 32,))) as service:
        yield service


async def test_a_folder_is_followed(tmp_path: Path) -> None:
    folder = tmp_path / "pages"
    (folder / "sub").mkdir(parents=True)
    (folder / ".git").mkdir()
    for name in ("a.md", "b.md", "sub/c.md", "skip/d.md", ".git/config", "half.md.part"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(f"About {name}.")
    (folder / "etc").symlink_to("/etc/hostname")
    (folder / "linked.md").symlink_to(folder / "a.md")
    said = {"kind": "folder", "path": folder, "collection": "kb", "exclude": ("skip*",)}
    async with opened(tmp_path / "data") as service:
        source = Watched(service, RagSource(name="pages", **said))
        first = await source.look()
        assert (first["outcome"], first["ready"], first["removed"]) == ("ok", 4, 0)
        there = {"a.md", "b.md", "sub/c.md", "linked.md"}
        assert await source.documents() == there
        (folder / "linked.md").unlink()

        (folder / "b.md").write_text("B says something else now.")
        (folder / "sub/c.md").unlink()
        (folder / "bad.pdf").write_bytes(b"this is no PDF")
        second = await source.look()
        assert (second["outcome"], second["ready"], second["unchanged"], second["removed"]) == (
            "partial",
            1,
            1,
            2,
        )
        assert [fault["name"] for fault in second["errors"]] == ["pages/bad.pdf"]
        assert "no PDF" in second["errors"][0]["error"]
        again = await source.look()  # what cannot be read is not fetched again until it changes
        assert (again["outcome"], again["ready"], again["failed"], again["unchanged"]) == ("ok", 0, 0, 3)
        assert (len(again["errors"]), again["faulty"]) == (1, 1)  # and is counted until then
        assert [row["faulty"] for row in await service.sources_of("default")] == [1]
        assert (await source.look(anew=True))["ready"] == 2

        # a document that somebody removed comes back
        await service.drop_document("default", "kb", "pages/a.md")
        assert (await source.look())["ready"] == 1

        # what is not all there removes nothing
        folder.rename(tmp_path / "elsewhere")
        away = await source.look()
        assert (away["outcome"], away["removed"]) == ("failed", 0)
        assert "is not there" in away["error"]
        folder.mkdir()
        empty = await source.look()
        assert (empty["outcome"], empty["held"], empty["removed"]) == ("partial", 3, 0)
        assert "--remove" in empty["error"]
        assert len(await source.documents()) == 3
        assert (await source.look(remove=True))["removed"] == 3
        assert await source.documents() == set()

        # many at once are held back, and a folder that cannot be read hides nothing
        (folder / "deep").mkdir()
        for n in range(14):
            (folder / f"deep/{n}.md").write_text(f"Number {n}.")
        (folder / "top.md").write_text("The top.")
        assert (await source.look())["ready"] == 15
        for n in range(11):
            (folder / f"deep/{n}.md").unlink()
        held = await source.look()
        assert (held["held"], held["removed"]) == (11, 0)
        assert "11 of 15" in held["error"]

        # bounded: the rest is told and left out
        few = Watched(service, RagSource(name="few", max_documents=2, **said))
        bounded = await few.look()
        assert (bounded["outcome"], bounded["ready"]) == ("partial", 2)
        assert "max_documents" in bounded["errors"][0]["error"]

        # another tenant's
        with pytest.raises(NotFound):
            await service.source("globex", "few")

        # the collection is dropped: everything comes anew
        await service.drop("default", "kb")
        assert (await source.look())["ready"] == 4

        # by the clock
        (folder / "new.md").write_text("New.")
        service.sources = Timetable(
            (RagSource(name="pages", interval_seconds=1, **said),), service, service.sources.door
        )
        clock = asyncio.create_task(service.sources.run())

        async def came() -> bool:
            return "new.md" in await source.documents()

        await until(came)
        clock.cancel()
        await asyncio.gather(clock, return_exceptions=True)
    for file in (tmp_path / "data").rglob("*"):  # names and reasons are sealed as documents are
        assert not file.is_file() or b"bad.pdf" not in file.read_bytes()


async def test_what_the_node_could_not_read_is_read_once_it_can(tmp_path: Path) -> None:
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages/a.md").write_text("About a.")
    model = tmp_path / "model"
    section = RagSection(embedding_model_path=model, embedding_threads=1)
    async with open_rag(section, tmp_path / "data") as service:
        source = Watched(
            service, RagSource(name="pages", kind="folder", path=tmp_path / "pages", collection="kb")
        )
        for _ in range(2):
            look = await source.look()
            assert (look["outcome"], look["failed"], look["ready"]) == ("partial", 1, 0)
            assert len(look["errors"]) == 1
        model.symlink_to(minilm())
        look = await source.look()
        assert (look["outcome"], look["ready"], look["errors"], look["faulty"]) == ("ok", 1, [], 0)


def test_when_a_source_is_due() -> None:
    def section(**more: Any) -> RagSource:
        return RagSource(name="s", kind="folder", path=Path("/x"), collection="c", **more)

    assert due(section(), None) is None
    assert due(section(interval_seconds=60), None) == 0
    assert due(section(interval_seconds=60), {"started": 1000.0}) == 1060
    assert due(section(schedule="0 * * * *"), {"started": 1000.0}) == 3600
