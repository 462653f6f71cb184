"""`rag ls`, `rag delete` and `rag sync`: what a collection holds, by hand or as a folder has it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.table import Column, Table

from intellirouter.cli.node_options import ConfigOption
from intellirouter.cli.plain import amount, cells, none_of
from intellirouter.cli.rag_feed import changed, feed, files_under, ready_collection
from intellirouter.cli.rag_node import (
    DEFAULT_TENANT,
    CollectionArgument,
    JsonOption,
    TenantOption,
    UrlOption,
    Where,
    on_service,
)
from intellirouter.cli.server_client import ApiKeyOption
from intellirouter.counts import counted
from intellirouter.errors import InvalidRequest
from intellirouter.roles.rag_manager.sources.source import suspicious

GONE_AT_MOST = 0.5
"""The share of a collection's documents that a folder may lack without being asked twice."""


def ls(
    collection: Annotated[
        str | None,
        typer.Argument(help="A collection, whose documents are listed; without it, all collections."),
    ] = None,
    tenant: TenantOption = DEFAULT_TENANT,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    url: UrlOption = None,
    api_key: ApiKeyOption = None,
) -> None:
    """The collections, with what they hold; or the documents of one."""
    where = Where(config, tenant, url, api_key)

    async def listed(service: Any) -> list[dict[str, Any]]:
        if collection is None:
            found: list[dict[str, Any]] = await service.collections(tenant)
            return found
        documents: list[dict[str, Any]] = await service.documents(tenant, collection)
        return documents

    rows = on_service(where, listed)
    if as_json:
        typer.echo(msgspec.json.encode(rows).decode())
        return
    nothing = "No collection." if collection is None else f"'{collection}' has no document."
    if not none_of(rows, nothing):
        Console().print(_collections(rows) if collection is None else _documents(rows))


def jobs(
    tenant: TenantOption = DEFAULT_TENANT,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    url: UrlOption = None,
    api_key: ApiKeyOption = None,
) -> None:
    """The newest jobs: what was read, how it stands, and why it failed."""
    rows = on_service(Where(config, tenant, url, api_key), lambda service: service.jobs(tenant))
    if as_json:
        typer.echo(msgspec.json.encode(rows).decode())
        return
    if none_of(rows, "No job."):
        return
    table = Table(Column("job", no_wrap=True), "document", "status", "asked")
    for row in rows:
        status = ": ".join(filter(None, (row["status"], row["error"] or row["note"])))
        table.add_row(
            *cells(row["id"], f"{row['collection']}/{row['document']}", status, _when(row["created"]))
        )
    Console().print(table)


def _collections(rows: Sequence[dict[str, Any]]) -> Table:
    table = Table("collection", "documents", "chunks", "model")
    for row in rows:
        table.add_row(*cells(row["name"], row["documents"], row["chunks"], row["model"]))
    return table


def _documents(rows: Sequence[dict[str, Any]]) -> Table:
    table = Table("document", "status", "size", "updated")
    for row in rows:
        status = f"{row['status']}: {row['error']}" if row["error"] else row["status"]
        table.add_row(*cells(row["name"], status, amount(row["bytes"]), _when(row["updated"])))
    return table


def _when(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).astimezone().strftime("%d %b %Y %H:%M")


def delete(
    collection: CollectionArgument,
    documents: Annotated[
        list[str] | None, typer.Argument(help="Documents, by name as `rag ls COLLECTION` has it.")
    ] = None,
    whole: Annotated[
        bool, typer.Option("--whole", help="The collection itself, with everything in it.")
    ] = False,
    tenant: TenantOption = DEFAULT_TENANT,
    config: ConfigOption = None,
    url: UrlOption = None,
    api_key: ApiKeyOption = None,
) -> None:
    """Remove documents from a collection, or with --whole the collection."""
    names = list(dict.fromkeys(documents or ()))
    if whole == bool(names):
        raise InvalidRequest(
            "Name the documents that go, or say --whole: then the collection goes with all it holds."
        )

    async def work(service: Any) -> None:
        if whole:
            await service.drop(tenant, collection)
            return
        known = {row["name"] for row in await service.documents(tenant, collection)}
        if unknown := [name for name in names if name not in known]:
            raise InvalidRequest(
                f"'{collection}' has no document '{unknown[0]}': nothing was removed. "
                f"`intellirouter rag ls {collection}` lists what it has."
            )
        for name in names:
            await service.drop_document(tenant, collection, name)

    on_service(Where(config, tenant, url, api_key), work)
    typer.echo(f"{collection if whole else counted(len(names), 'document')} removed.")


def sync(
    collection: CollectionArgument,
    folder: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="The folder to follow.")],
    delete: Annotated[
        bool,
        typer.Option(
            "--delete",
            help="Remove documents that have no file there; not all at once, nor more than half of many.",
        ),
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="With --delete: however many have none.")] = False,
    tenant: TenantOption = DEFAULT_TENANT,
    config: ConfigOption = None,
    url: UrlOption = None,
    api_key: ApiKeyOption = None,
) -> None:
    """Bring a collection to what a folder holds: read what is new or changed. Exit code 1 when some could not be read, or was not removed."""
    files = files_under(folder)
    held: list[str] = []

    async def work(service: Any) -> Counter[str]:
        await ready_collection(service, tenant, collection)
        fresh, gone, known = await changed(service, tenant, collection, files)
        outcomes = await feed(service, tenant, collection, fresh)
        outcomes["unchanged"] = len(files) - len(fresh)
        why = (
            suspicious(len(files), len(gone), known, GONE_AT_MOST) if delete and gone and not force else None
        )
        if why is not None:
            held.append(why)
        removes = delete and why is None
        for name in gone if removes else ():
            await service.drop_document(tenant, collection, name)
        outcomes["removed" if removes else "without a file"] = len(gone)
        return outcomes

    outcomes = on_service(Where(config, tenant, url, api_key), work)
    for why in held:
        typer.echo(
            f"Nothing was removed: {why} in {folder}. Is it the right folder, and is its disk there? "
            f"--force removes {counted(outcomes['without a file'], 'document')} all the same.",
            err=True,
        )
    ended(outcomes, failed=bool(held))


def ended(outcomes: Counter[str], *, failed: bool = False) -> None:
    """Say how many ended how. Exit code 1 where some failed."""
    typer.echo(
        ", ".join(f"{count} {status}" for status, count in sorted(outcomes.items()) if count)
        or "nothing to do"
    )
    if failed or outcomes["failed"]:
        raise typer.Exit(1)
