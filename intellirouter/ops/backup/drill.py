"""A restore that is tried: into a directory of its own that is removed afterwards, and looked at there.

The node goes on meanwhile and nothing of it is touched. What an archive holds of servers is read through as far as can be done
without a server: every key of Redis, every row of a dump.
"""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from intellirouter.config.schema.chain_engine import ChainEngineSection
from intellirouter.config.schema.memory import MemorySection
from intellirouter.config.schema.paths import PathsSection
from intellirouter.config.schema.persona_layer import PersonaLayerSection
from intellirouter.config.schema.rag import RagSection
from intellirouter.config.schema.records import RecordsSection
from intellirouter.config.schema.settings import Settings
from intellirouter.counts import counted
from intellirouter.errors import StateError
from intellirouter.ops.backup import forms, outside, seal
from intellirouter.ops.backup.archive import Manifest
from intellirouter.ops.backup.make import CHAINS_SERVER, REDIS, folders
from intellirouter.ops.backup.place import File
from intellirouter.ops.backup.restore import restore, stored

SCRATCH = ".drill-"


@dataclass(frozen=True, slots=True)
class Drill:
    """What was put back and found whole. `foreign`: nobody vouches for the archive, a restore of it would ask."""

    manifest: Manifest
    stores: list[str]
    read_only: list[str]
    foreign: bool
    seconds: float


def drill(
    file: File, settings: Settings, identities: Sequence[Any] = (), within: Path | None = None
) -> Drill:
    """Restore a backup beside the node (or in `within`) and remove it again. Raises what is wrong with it, as `restore` does."""
    began = time.monotonic()
    data_dir = settings.paths.data_dir
    data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    with tempfile.TemporaryDirectory(prefix=SCRATCH, dir=within or data_dir) as scratch:
        there = Path(scratch)
        (there / "config").mkdir()
        kept: dict[str, Path] = {}

        def sink(name: str, stream: IO[bytes]) -> None:
            if name in (REDIS, CHAINS_SERVER):
                target = kept[name] = there / name.replace("/", "-")
                with target.open("wb") as out:
                    while block := stream.read(1 << 20):
                        out.write(block)

        manifest = forms.read(file, sink, identities)
        foreign = not seal.genuine(manifest, [*seal.keys(settings, identities)])
        _check_servers(kept, manifest)
        away = {name.partition("/")[0] for name in kept}
        stores = [store for store in stored(manifest) if store not in away]
        alone = _alone(settings, there / "data")
        restore(file, alone, stores, identities, config_dir=there / "config")
        _compare(manifest, alone, there / "config")
    return Drill(manifest, stores, sorted(away), foreign, time.monotonic() - began)


def _alone(settings: Settings, data_dir: Path) -> Settings:
    """A node that has every store of its own, in that directory."""
    data_dir.mkdir(mode=0o700)
    return settings.model_copy(
        update={
            "paths": PathsSection(data_dir=data_dir),
            "memory": MemorySection(),
            "chain_engine": ChainEngineSection(),
            "rag": RagSection(),
            "records": RecordsSection(),
            "persona_layer": PersonaLayerSection(),
        }
    )


def _check_servers(kept: dict[str, Path], manifest: Manifest) -> None:
    """Raises `StateError` for what a server could not be given."""
    if REDIS in kept:
        count = sum(1 for _ in outside.frames(kept[REDIS]))
        said = manifest.counts.get("redis/keys", count)
        if count != said:
            raise StateError(
                f"redis: the archive holds {counted(count, 'key')}, and its manifest says {said}."
            )
    if CHAINS_SERVER in kept:
        outside.check_postgres_rows(kept[CHAINS_SERVER])


def _compare(manifest: Manifest, alone: Settings, config: Path) -> None:
    """Raises `StateError` when a file that was put back is not the one of the archive."""
    places = {**folders(alone), "config": config}
    for name, entry in manifest.files.items():
        store, _, rest = name.partition("/")
        if store in places:
            with (places[store] / rest).open("rb") as stream:
                if hashlib.file_digest(stream, "sha256").hexdigest() != entry.sha256:
                    raise StateError(f"{name} is another after it was put back.")
