"""`intellirouter rag`: collections of this node, without a server running. One process at a time holds them."""

from __future__ import annotations

import asyncio
import importlib
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from intellirouter.cli.node_options import ConfigOption, loader
from intellirouter.errors import InvalidRequest, PayloadTooLarge
from intellirouter.peers.contract import Call, RetrievalRequest
from intellirouter.security.caller import Caller

T = TypeVar("T")

AHEAD = 16
"""Files handed in before the first of them is done: one is parsed while others are embedded."""
app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
JsonOption = Annotated[bool, typer.Option("--json", help="For machines.")]
TenantOption = Annotated[str, typer.Option(help="Whose collections.")]
CollectionArgument = Annotated[str, typer.Argument(help="The collection.")]


def _on_service(config: Path | None, work: Callable[[Any], Awaitable[T]]) -> T:
    """Run `work` on this node's service, opened for it."""
    settings = loader(config, "rag-manager.toml")().settings
    opening = importlib.import_module("intellirouter.roles.rag_manager.open")

    async def run() -> T:
        async with opening.open_rag(settings.rag, settings.paths.data_dir) as service:
            return await work(service)

    task: Coroutine[Any, Any, T] = run()
    return asyncio.run(task)


@app.command()
def create(
    collection: CollectionArgument, tenant: TenantOption = "default", config: ConfigOption = None
) -> None:
    """Make a collection."""
    _on_service(config, lambda service: service.create(tenant, collection))
    typer.echo(f"{collection} is made.")


@app.command("ls")
def ls(tenant: TenantOption = "default", as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """The collections, with what they hold."""
    rows = _on_service(config, lambda service: service.collections(tenant))
    if as_json:
        typer.echo(msgspec.json.encode(rows).decode())
        return
    table = Table("collection", "documents", "chunks", "model")
    for row in rows:
        table.add_row(row["name"], str(row["documents"]), str(row["chunks"]), row["model"])
    Console().print(table)


@app.command()
def ingest(
    collection: CollectionArgument,
    paths: Annotated[list[Path], typer.Argument(exists=True, help="Files and folders.")],
    tenant: TenantOption = "default",
    config: ConfigOption = None,
) -> None:
    """Read files and folders into a collection. Exit code 1 when some could not be read."""
    files = [(file, root) for root in paths for file in _files(root)]
    if not files:
        raise InvalidRequest("There are no files in these folders.")

    async def work(service: Any) -> Counter[str]:
        await service.prepare()
        names = {row["name"] for row in await service.collections(tenant)}
        if collection not in names:
            await service.create(tenant, collection)
        outcomes: Counter[str] = Counter()
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=Console(stderr=True)) as progress:
            bar = progress.add_task("ingesting", total=len(files))

            def over(status: str, error: str | None) -> None:
                outcomes[status] += 1
                if error:
                    progress.console.print(error, highlight=False, markup=False)
                progress.advance(bar)

            under_way: deque[str] = deque()

            async def settle() -> None:
                state = await service.ended(tenant, under_way.popleft())
                over(state["status"], state["error"])

            for file, root in files:
                name = str(file.relative_to(root)) if root.is_dir() else file.name
                try:
                    data = await asyncio.to_thread(_read, file, service.max_document_bytes)
                    under_way.append(await service.submit(tenant, collection, name, data))
                except (PayloadTooLarge, OSError) as refused:
                    over("failed", getattr(refused, "message", str(refused)))
                if len(under_way) >= AHEAD:
                    await settle()
            while under_way:
                await settle()
        return outcomes

    outcomes = _on_service(config, work)
    typer.echo(", ".join(f"{count} {status}" for status, count in sorted(outcomes.items())))
    if outcomes["failed"]:
        raise typer.Exit(1)


def _read(file: Path, most: int) -> bytes:
    """Its bytes. A file that is too large is refused unread."""
    if (size := file.stat().st_size) > most:
        raise PayloadTooLarge(f"{file} has {size} bytes; at most {most} are taken (rag.max_document_bytes).")
    return file.read_bytes()


def _files(root: Path) -> list[Path]:
    if root.is_file():
        return [root]
    return sorted(file for file in root.rglob("*") if file.is_file() and not file.name.startswith("."))


@app.command()
def search(
    collection: CollectionArgument,
    query: Annotated[str, typer.Argument(help="What to look for.")],
    top_k: Annotated[int, typer.Option(min=1, max=100)] = 5,
    tenant: TenantOption = "default",
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """The passages that answer a question, with their scores apart."""
    wanted = RetrievalRequest(query, (collection,), top_k)
    call = Call(Caller(tenant=tenant), "cli")
    found = _on_service(config, lambda service: service.retrieve(wanted, call))
    if as_json:
        typer.echo(msgspec.json.encode(found).decode())
        return
    table = Table("score", "dense", "lexical", "document", "passage")
    for passage in found.passages:
        scores = (passage.score, passage.dense_score, passage.lexical_score)
        title = f"{passage.title}\n{passage.location}".strip()
        texts = ("–" if score is None else f"{score:.3f}" for score in scores)
        table.add_row(*texts, title, passage.text[:300])
    Console().print(table)


@app.command()
def jobs(tenant: TenantOption = "default", config: ConfigOption = None) -> None:
    """The newest jobs, as JSON."""
    rows = _on_service(config, lambda service: service.jobs(tenant))
    typer.echo(msgspec.json.format(msgspec.json.encode(rows)).decode())


@app.command()
def verify(
    collection: CollectionArgument, tenant: TenantOption = "default", config: ConfigOption = None
) -> None:
    """Compare the catalogue with the vectors. Exit code 1 when they differ."""
    missing, stray = _on_service(config, lambda service: service.verify(tenant, collection))
    typer.echo(f"{len(missing)} chunks without a vector, {len(stray)} vectors without a chunk")
    if missing or stray:
        raise typer.Exit(1)


@app.command()
def rebuild(
    collection: CollectionArgument, tenant: TenantOption = "default", config: ConfigOption = None
) -> None:
    """Write the vectors that are missing, from the catalogue."""
    count = _on_service(config, lambda service: service.rebuild(tenant, collection))
    typer.echo(f"{count} vectors written.")
