"""`intellirouter rag tune`: the weight of meaning for one's own questions, with proof on those it was not looked for on."""

from __future__ import annotations

import dataclasses
import importlib
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from intellirouter.cli.node_options import ConfigOption
from intellirouter.cli.rag_feed import bar_of
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
from intellirouter.errors import InvalidRequest
from intellirouter.peers.contract import Call, RetrievalRequest
from intellirouter.security.caller import Caller


def tune(
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
    """Find rag.fusion_alpha for questions whose answers are known: on one half of them, proven on the other."""
    evaluation = importlib.import_module("intellirouter.roles.rag_manager.evaluation")
    tuning = importlib.import_module("intellirouter.roles.rag_manager.tuning")
    listed = evaluation.read_questions(questions.read_bytes())
    call = Call(Caller(tenant=tenant), "cli")

    async def work(service: Any) -> Any:
        await service.prepare()
        documents = {row["name"]: row["id"] for row in await service.documents(tenant, collection)}
        for question in listed:
            if missing := [name for name in question.documents if name not in documents]:
                raise InvalidRequest(f"The collection has no document '{missing[0]}'.")
        asked = []
        with bar_of(transient=True) as progress:
            for question in progress.track(listed, description="asking"):
                wanted = RetrievalRequest(question.query, (collection,), 10, explain=True)
                asked.append(tuning.Asked(question, (await service.retrieve(wanted, call)).explanation))
        return tuning.tuned(asked, documents, asked[0].explanation["fusion_alpha"])

    found = on_service(Where(config, tenant, url, api_key), work)
    if as_json:
        typer.echo(msgspec.json.encode(dataclasses.asdict(found) | {"proven": found.proven}).decode())
        return
    table = Table("rag.fusion_alpha", f"nDCG@10 of {found.questions[0]}", f"held out, {found.questions[1]}")
    for which, weight in enumerate((found.now, found.best)):
        note = " (now)" if which == 0 else " (best)"
        table.add_row(f"{weight:g}{note}", f"{found.seen[which]:.3f}", f"{found.held_out[which]:.3f}")
    Console().print(table)
    gain = f"{found.held_out[1] - found.held_out[0]:+.3f} ± {found.error:.3f}"
    if found.proven:
        typer.echo(
            f"Proven on questions it was not looked for on ({gain}):\n\n[rag]\nfusion_alpha = {found.best:g}"
        )
    else:
        typer.echo(f"Not proven on questions it was not looked for on ({gain}): leave it at {found.now:g}.")
