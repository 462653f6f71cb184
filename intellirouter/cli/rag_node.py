"""Where a `rag` command works: on the files of this node, or through the RagManager that has them open."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from intellirouter.cli.node_address import address_of
from intellirouter.cli.node_configuration import configured
from intellirouter.cli.server_session import session_of
from intellirouter.errors import InvalidRequest
from intellirouter.security.key_names import check_file
from intellirouter.security.sealing import sealer_of
from intellirouter.telemetry import logs
from intellirouter.transport.outgoing.door import OutgoingDoor

T = TypeVar("T")

JsonOption = Annotated[bool, typer.Option("--json", help="For machines.")]
TenantOption = Annotated[str, typer.Option(help="Whose collections.")]
CollectionArgument = Annotated[str, typer.Argument(help="The collection.")]
UrlOption = Annotated[
    str | None,
    typer.Option(
        "--url",
        envvar="INTELLIROUTER_RAG_URL",
        help="A RagManager that runs; without it this node's own files, or who has them open on this machine.",
    ),
]
DEFAULT_TENANT = "default"


@dataclass(frozen=True, slots=True)
class Where:
    """What the command line says of it."""

    config: Path | None
    tenant: str
    url: str | None
    api_key: str | None


def on_service(where: Where, work: Callable[[Any], Awaitable[T]]) -> T:
    """Run `work` on a `RagService`, opened for it, or on a `RemoteRag`. Standard output is the command's own."""
    logs.configure(level="warning", json=False)
    if where.url is not None:
        return _over_http(where, where.url, work)
    settings = configured(where.config, "rag-manager.toml").settings
    opening = importlib.import_module("intellirouter.roles.rag_manager.open")

    check_file(settings.security, settings.paths.data_dir)
    sealer = sealer_of(settings.security)

    async def run() -> T:
        async with (
            contextlib.aclosing(OutgoingDoor(settings.outgoing)) as door,
            opening.open_rag(settings.rag, settings.paths.data_dir, door=door, sealer=sealer) as service,
        ):
            return await work(service)

    task: Coroutine[Any, Any, T] = run()
    try:
        return asyncio.run(task)
    except opening.DirectoryHeld as held:
        directory = held.details["directory"]
        found = address_of("RagManager", None, where.config).url
        typer.echo(f"{directory} is open in a running node: asking {found} (--url names another)", err=True)
        return _over_http(where, None, work)


def _over_http(where: Where, url: str | None, work: Callable[[Any], Awaitable[T]]) -> T:
    if where.tenant != DEFAULT_TENANT:
        raise InvalidRequest(
            "A running RagManager takes the tenant from the key: use --api-key, not --tenant."
        )
    remote = importlib.import_module("intellirouter.cli.rag_remote")

    async def run() -> T:
        async with session_of(url, where.api_key, "RagManager", where.config) as session:
            return await work(remote.RemoteRag(session))

    return asyncio.run(run())
