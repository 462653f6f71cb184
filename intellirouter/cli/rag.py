"""`intellirouter rag`: collections, of this node's files or of a RagManager that runs."""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Awaitable, Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from intellirouter.cli.node_options import ConfigOption
from intellirouter.cli.plain import cells
from intellirouter.cli.rag_documents import delete, ended, jobs, ls, sync
from intellirouter.cli.rag_feed import bar_of, feed, files_under, ready_collection
from intellirouter.cli.rag_node import (
    DEFAULT_TENANT,
    CollectionArgument,
    JsonOption,
    TenantOption,
    UrlOption,
    Where,
    on_service,
)
from intellirouter.cli.rag_sources import app as sources
from intellirouter.cli.rag_tune import tune
from intellirouter.cli.server_client import ApiKeyOption
from intellirouter.counts import counted
from intellirouter.errors import InvalidRequest
from intellirouter.peers.contract import Call, RetrievalRequest
from intellirouter.security.caller import Caller

MOST_MISSES = 10
"""Questions without an answer among the first ten that are shown one by one."""
app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
app.command()(tune)
app.command()(ls)
app.command()(jobs)
app.command()(sync)
app.command()(delete)
app.add_typer(sources, name="sources")


@app.command()
def create(
    collection: CollectionArgument,
    split: Annotated[
        bool, typer.Option("--split", help="Over all RagManagers of rag.nodes, by document.")
    ] = False,
    tenant: TenantOption = DEFAULT_TENANT,
    config: ConfigOption = None,
    url: UrlOption = None,
    api_key: ApiKeyOption = None,
) -> None:
    """Make a collection."""
    where = Where(config, tenant, url, api_key)
    on_service(where, lambda service: service.create(tenant, collection, split=split))
    typer.echo(f"{collection} is made.")


@app.command()
def ingest(
    collection: CollectionArgument,
    paths: Annotated[list[Path], typer.Argument(exists=True, help="Files and folders.")],
    tenant: TenantOption = DEFAULT_TENANT,
    config: ConfigOption = None,
    url: UrlOption = None,
    api_key: ApiKeyOption = None,
) -> None:
    """Read files and folders into a collection. Exit code 1 when some could not be read."""
    files = {name: file for root in paths for name, file in files_under(root).items()}
    if not files:
        raise InvalidRequest("There are no files in these folders.")

    async def work(service: Any) -> Counter[str]:
        await ready_collection(service, tenant, collection)
        return await feed(service, tenant, collection, files)

    ended(on_service(Where(config, tenant, url, api_key), work))


@app.command()
def reindex(
    collection: CollectionArgument,
    tenant: TenantOption = DEFAULT_TENANT,
    config: ConfigOption = None,
    url: UrlOption = None,
    api_key: ApiKeyOption = None,
) -> None:
    """Read every document again, as after a change of rag.chunk_size or rag.embedding_model. Searches find the old chunks until then,
    those of another model by their words alone."""

    async def work(service: Any) -> Counter[str]:
        await service.prepare()
        jobs = await service.reindex(tenant, collection)
        outcomes: Counter[str] = Counter()
        told: dict[str, None] = {}
        with bar_of() as progress:
            for job in progress.track(jobs, description="reading again"):
                state = await service.ended(tenant, job)
                outcomes[state["status"]] += 1
                told[state["error"] or ""] = None
        for error in filter(None, told):
            typer.echo(error, err=True)
        return outcomes

    ended(on_service(Where(config, tenant, url, api_key), work))


@app.command("eval")
def evaluate(
    collection: CollectionArgument,
    questions: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help='Lines of {"query": …, "documents": [names]}.')
    ],
    tenant: TenantOption = DEFAULT_TENANT,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    url: UrlOption = None,
    api_key: ApiKeyOption = None,
) -> None:
    """nDCG@10 and recall@10 on questions whose answers are known: dense, lexical and hybrid side by side."""
    evaluation = importlib.import_module("intellirouter.roles.rag_manager.evaluation")
    asked = evaluation.read_questions(questions.read_bytes())
    call = Call(Caller(tenant=tenant), "cli")

    async def work(service: Any) -> Any:
        await service.prepare()
        rows = await service.documents(tenant, collection)
        documents = {row["name"]: row["id"] for row in rows}
        unread = {
            row["name"]: f"{row['status']} {row['error'] or ''}".strip()
            for row in rows
            if row["status"] != "ready"
        }

        def look(question: Any, candidates: Any) -> None:
            if (miss := evaluation.miss_of(question, candidates, documents, unread)) is not None:
                misses.append(miss)

        def ask(query: str) -> Awaitable[Any]:
            wanted = RetrievalRequest(query, (collection,), 10, explain=True)
            found: Awaitable[Any] = service.retrieve(wanted, call)
            return found

        with bar_of(transient=True) as progress:
            bar = progress.add_task("asking", total=len(asked))
            return await evaluation.evaluate(ask, asked, documents, lambda: progress.advance(bar), look)

    misses: list[Any] = []
    found = on_service(Where(config, tenant, url, api_key), work)
    if as_json:
        typer.echo(msgspec.json.encode({**found, "misses": misses}).decode())
        return
    Console().print(_qualities(found, len(asked)))
    for miss in misses[:MOST_MISSES]:
        typer.echo(f"{miss.query}\n  {miss.document}: {miss.reason}")
    if len(misses) > MOST_MISSES:
        typer.echo(f"… and {len(misses) - MOST_MISSES} more (--json has them all)")


def _qualities(found: Mapping[str, Any], questions: int) -> Table:
    """How good each stage is, and how far hybrid search is ahead of the others."""
    table = Table(
        *("stage", "nDCG@10", "recall@10", "first", "hybrid ahead by"), title=counted(questions, "question")
    )
    for stage, quality in found.items():
        ahead = f"{found['hybrid'].ndcg - quality.ndcg:+.3f} ± {quality.error:.3f}"
        table.add_row(
            *(stage, f"{quality.ndcg:.3f}", f"{quality.recall:.3f}", f"{quality.first:.3f}"),
            ahead if stage != "hybrid" else "",
        )
    return table


@app.command()
def search(
    collection: CollectionArgument,
    query: Annotated[str, typer.Argument(help="What to look for.")],
    top_k: Annotated[int, typer.Option(min=1, max=100)] = 5,
    tenant: TenantOption = DEFAULT_TENANT,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    url: UrlOption = None,
    api_key: ApiKeyOption = None,
) -> None:
    """The passages that answer a question, with their scores apart."""
    wanted = RetrievalRequest(query, (collection,), top_k)
    call = Call(Caller(tenant=tenant), "cli")
    found = on_service(Where(config, tenant, url, api_key), lambda service: service.retrieve(wanted, call))
    if as_json:
        typer.echo(msgspec.json.encode(found).decode())
        return
    table = Table("score", "dense", "lexical", "document", "passage")
    for passage in found.passages:
        scores = (passage.score, passage.dense_score, passage.lexical_score)
        named = dict.fromkeys((str(passage.metadata.get("filename", "")), passage.title, passage.location))
        title = "\n".join(name for name in named if name)
        texts = ("–" if score is None else f"{score:.3f}" for score in scores)
        table.add_row(*texts, *cells(title, passage.text[:300]))
    Console().print(table)


@app.command()
def verify(
    collection: CollectionArgument,
    tenant: TenantOption = DEFAULT_TENANT,
    config: ConfigOption = None,
    url: UrlOption = None,
    api_key: ApiKeyOption = None,
) -> None:
    """Compare the catalogue with the vectors. Exit code 1 when they differ."""
    missing, stray = on_service(
        Where(config, tenant, url, api_key), lambda service: service.differences(tenant, collection)
    )
    typer.echo(f"{counted(missing, 'chunk')} without a vector, {counted(stray, 'vector')} without a chunk")
    if missing or stray:
        raise typer.Exit(1)


@app.command()
def rebuild(
    collection: CollectionArgument,
    tenant: TenantOption = DEFAULT_TENANT,
    config: ConfigOption = None,
    url: UrlOption = None,
    api_key: ApiKeyOption = None,
) -> None:
    """Write the vectors that are missing, from the catalogue."""
    count = on_service(
        Where(config, tenant, url, api_key), lambda service: service.rebuild(tenant, collection)
    )
    typer.echo(f"{counted(count, 'vector')} written.")
