"""`intellirouter keys rotate-master`: seal what is kept with the key that `[security]` has now."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import sqlite3
from functools import partial
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from intellirouter.app.components.records import sealed_opener
from intellirouter.app.components.sealing import KEY, mark, sealed
from intellirouter.cli.audited import audited
from intellirouter.cli.node_configuration import configured
from intellirouter.cli.node_options import ConfigOption
from intellirouter.cli.node_unit import UnitOption
from intellirouter.config.schema.settings import Settings
from intellirouter.counts import counted
from intellirouter.errors import InvalidRequest
from intellirouter.identity.store import GONE, GONE_SECONDS
from intellirouter.memory.open import FILE as STATE_FILE
from intellirouter.memory.open import open_state
from intellirouter.memory.sealed import SEALED, Resealing, SealedStore
from intellirouter.records.sealed import SealedRecords
from intellirouter.records.sqlite.store import FILE as RECORDS_FILE
from intellirouter.roles.rag_manager.blobs import BLOBS, CATALOG_FILE, RAG, Blobs
from intellirouter.roles.rag_manager.resealing import reseal
from intellirouter.security.key_names import check_file, write_file
from intellirouter.security.sealing import Sealer, sealer_of

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

CHAINS_FILE = "chains.db"
PAGE = 500
VACUUM_SECONDS = 30


@app.command()
def rotate_master(
    config: ConfigOption = None,
    unit: UnitOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Encrypt what is kept with [security] key, whatever it was encrypted with before. Goes on where it was interrupted.

    The nodes may run meanwhile: with the new key as `key` and the one before among `previous_keys`.
    """
    settings = configured(config, "router.toml", unit).settings
    sealer = sealer_of(settings.security)
    if sealer is None:
        raise InvalidRequest("There is no [security] key: openssl rand -hex 32 makes one.")
    check_file(settings.security, settings.paths.data_dir)
    with audited(settings, "keys rotate-master", f"master key {sealer.current_name}") as told:
        kept = asyncio.run(_state(settings))
        rows = _records(settings)
        rows += _chains(settings, sealer)
        texts, files = _documents(settings, sealer)
        rows += texts
        told.after = {"key": sealer.current_name, "values": kept, "rows": rows, "files": files}
    write_file(settings.paths.data_dir, [sealer.current_name])
    asyncio.run(_marked(settings, sealer.current_name))
    left = [
        name
        for name in (STATE_FILE, RECORDS_FILE, CHAINS_FILE, f"{RAG}/{CATALOG_FILE}")
        if not _overwritten(settings.paths.data_dir / name)
    ]
    if as_json:
        facts = {
            "key": sealer.current_name,
            "values": kept,
            "rows": rows,
            "files": files,
            "not_compacted": left,
        }
        typer.echo(msgspec.json.encode(facts))
        return
    typer.echo(
        f"Encrypted anew with key {sealer.current_name}: {counted(kept, 'value')}, {counted(rows, 'row')}, {counted(files, 'file')}."
    )
    for name in left:
        typer.echo(
            f"{name} is in use: what was deleted from it may still be read there. Stop the node, then run this again."
        )
    if settings.security.previous_keys:
        typer.echo(
            "Take previous_keys out of [security]; keep them as long as there are backups from before."
        )


async def _state(settings: Settings) -> int:
    async with open_state(settings.memory.unhurried(), settings.paths.data_dir) as store:
        wrapped = await sealed(store, settings.security)
        sealer = sealer_of(settings.security)
        if sealer is None or not isinstance(wrapped, SealedStore):
            raise InvalidRequest("There is no [security] key.")
        return await Resealing(wrapped, sealer, partial(_kept_for, settings)).all(sorted(SEALED))


def _kept_for(settings: Settings, key: str) -> float | None:
    """How long the value of a key is kept, in seconds; None: for ever."""
    router, login = settings.router, settings.auth.login
    for beginning, seconds in (
        ("conversation:", router.conversation_ttl),
        ("conversation-summary:", router.conversation_ttl),
        ("response:", router.response_ttl),
        ("cache:", settings.cache.ttl),
        ("grant:", login.refresh_seconds),
        ("people:session:", login.refresh_seconds),
        ("people:revoked:", login.token_seconds + 60),
        ("people:code:", 60),
        (GONE, GONE_SECONDS),
    ):
        if key.startswith(beginning):
            return seconds
    return None


async def _marked(settings: Settings, name: str) -> None:
    async with open_state(settings.memory.unhurried(), settings.paths.data_dir) as store:
        if await store.get(KEY) is not None:
            await mark(store, [name])


def _records(settings: Settings) -> int:
    """How many rows hold content that is now sealed with the current key."""
    if settings.records.database_url is None and not (settings.paths.data_dir / RECORDS_FILE).exists():
        return 0
    store = sealed_opener(settings)()
    try:
        if not isinstance(store, SealedRecords):
            return 0
        after: int | None = -1
        while after is not None:
            after = store.reseal(after, PAGE)
        return store.resealed
    finally:
        store.close()


def _chains(settings: Settings, sealer: Sealer) -> int:
    """How many rows of chains are now sealed with the current key."""
    url, file = settings.chain_engine.database_url, settings.paths.data_dir / CHAINS_FILE
    if url is None and not file.exists():
        return 0
    # a command must not pay for the engine where there are no chains
    engine = importlib.import_module("intellirouter.chains.runtime.durable.engine").open_engine(
        url.get_secret_value() if url is not None else f"sqlite:///{file}"
    )
    importlib.import_module("intellirouter.roles.chain_engine.open")  # knows every table
    tables = importlib.import_module("intellirouter.roles.chain_engine.store").METADATA.sorted_tables
    waits = importlib.import_module("intellirouter.chains.runtime.durable.waits").TABLE
    sealing = importlib.import_module("intellirouter.chains.runtime.durable.sealing")
    try:
        return int(sealing.reseal(engine, sealer, [*tables, waits]))
    finally:
        engine.dispose()


def _documents(settings: Settings, sealer: Sealer) -> tuple[int, int]:
    """How many rows and files of documents are now sealed with the current key."""
    directory = settings.paths.data_dir / RAG
    return reseal(directory / CATALOG_FILE, Blobs(directory / BLOBS, sealer), sealer)


def _overwritten(file: Path) -> bool:
    """Give back what the file of SQLite has no use for: what was deleted stands there until it is written over."""
    if not file.exists():
        return True
    with contextlib.closing(
        sqlite3.connect(file, timeout=VACUUM_SECONDS, isolation_level=None)
    ) as connection:
        try:
            connection.execute("vacuum")
            busy, _, _ = connection.execute("pragma wal_checkpoint(truncate)").fetchone()
        except sqlite3.OperationalError:
            return False
        return not busy
