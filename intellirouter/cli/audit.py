"""`intellirouter audit`: who did what, and whether the records are as they were written."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import io
import sys
from collections.abc import Awaitable, Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from intellirouter.cli.node_configuration import configured
from intellirouter.cli.node_options import ConfigOption
from intellirouter.cli.node_unit import UnitOption
from intellirouter.config.load import Loaded
from intellirouter.config.schema.settings import Settings
from intellirouter.counts import counted
from intellirouter.errors import InvalidRequest, NotFound
from intellirouter.memory.open import open_state
from intellirouter.memory.store import StateStore
from intellirouter.security.audit import shared
from intellirouter.security.audit.chain import Signer, read
from intellirouter.security.audit.entry import Entry, Record
from intellirouter.security.audit.journal import Journal, files_of
from intellirouter.security.audit.opening import journal_of
from intellirouter.security.audit.search import Query, newest_first
from intellirouter.security.audit.search import search as search_lines
from intellirouter.security.audit.verify import Verdict, verify_files

T = TypeVar("T")

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

Since = Annotated[str, typer.Option(help="From then on: 2026-11-20, 2026-11-20T08:15 (UTC), or 2h, 7d ago.")]
Until = Annotated[str, typer.Option(help="Before then, in the same forms.")]
Json = Annotated[bool, typer.Option("--json", help="For machines.")]
EXIT_BROKEN = 1


@app.command()
def verify(config: ConfigOption = None, unit: UnitOption = None, as_json: Json = False) -> None:
    """Check every record of this node, and the copies of the other nodes'. Exit code 1 where one is not as it was written."""
    loaded = _read(config, unit)
    journal = _journal(loaded)
    verdicts = asyncio.run(_verified(loaded.settings, journal))
    broken = any(verdict.findings for verdict in verdicts)
    if as_json:
        typer.echo(msgspec.json.encode({"holds": not broken, "nodes": verdicts}))
    else:
        for verdict in verdicts:
            good = not verdict.findings
            typer.echo(
                f"{verdict.node}: {counted(verdict.records, 'record')}, {'all as written' if good else 'NOT as written'}."
            )
            for finding in verdict.findings:
                typer.echo(f"  {finding.problem}: {finding.message}")
            if verdict.more_findings:
                typer.echo(f"  and {verdict.more_findings} more")
    if broken:
        raise typer.Exit(EXIT_BROKEN)


@app.command()
def search(
    config: ConfigOption = None,
    unit: UnitOption = None,
    text: Annotated[str, typer.Argument(help="Anywhere in a record.")] = "",
    since: Since = "",
    until: Until = "",
    who: Annotated[str, typer.Option(help="Part of a key's or user's name.")] = "",
    on: Annotated[str, typer.Option(help="Part of what it was done to, as in 'key:'.")] = "",
    action: Annotated[str, typer.Option(help="Part of what was done, as in 'create_key'.")] = "",
    kind: Annotated[str, typer.Option(help="administration, sign-in, refusal, call or system.")] = "",
    outcome: Annotated[str, typer.Option(help="ok, refused, failed, begun or away.")] = "",
    address: Annotated[str, typer.Option(help="Where it came from.")] = "",
    request: Annotated[str, typer.Option(help="The id of a request.")] = "",
    node: Annotated[str, typer.Option(help="Of one node.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="The newest so many.")] = 50,
    as_json: Json = False,
) -> None:
    """Find records, the newest first."""
    query = Query(
        since=_moment(since),
        until=_moment(until),
        kind=kind,
        action=action,
        who=who,
        on=on,
        address=address,
        outcome=outcome,
        request=request,
        node=node,
        text=text,
    )
    found = _found(_read(config, unit), query, limit)
    if as_json:
        typer.echo(msgspec.json.encode(found))
        return
    if not found:
        typer.echo("No such records.")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("WHEN (UTC)", "WHO", "WHAT", "ON", "OUTCOME"):
        table.add_column(column, overflow="fold", no_wrap=column == "WHEN (UTC)")
    for record in found:
        table.add_row(
            record.at[:19].replace("T", " "),
            record.who or "-",
            record.action,
            record.on or record.path,
            _outcome(record),
        )
    Console(highlight=False, markup=False).print(table)


@app.command()
def export(
    config: ConfigOption = None,
    unit: UnitOption = None,
    since: Since = "",
    until: Until = "",
    form: Annotated[Literal["jsonl", "csv"], typer.Option("--format", help="jsonl or csv.")] = "jsonl",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A file that does not exist yet.")
    ] = None,
) -> None:
    """Write records out, the oldest first: the lines as they were signed, or a table."""
    loaded = _read(config, unit)
    query = Query(since=_moment(since), until=_moment(until))
    lines = _lines(loaded, query)
    with contextlib.ExitStack() as stack:
        target = sys.stdout
        if output is not None:
            if output.exists():
                raise InvalidRequest(f"{output} exists already.")
            target = stack.enter_context(output.open("w", encoding="utf-8", newline=""))
        for piece in _formed(lines, query, form):
            target.write(piece)


def _formed(lines: Iterable[bytes], query: Query, form: str) -> Iterator[str]:
    names = [*Entry.__struct_fields__, "n", "node", "mac"]
    if form == "csv":
        yield _row(names)
    for line in lines:
        record = read(line)
        if record is None or not query.takes(record, line):
            continue
        if form == "jsonl":
            yield line.decode()
        else:
            facts = msgspec.to_builtins(record)
            yield _row([_cell(facts.get(name, "")) for name in names])


def _cell(value: object) -> str:
    """As text that no spreadsheet takes for a formula."""
    words = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return f"'{words}" if words[:1] in ("=", "+", "-", "@", "\t", "\r") else words


def _row(cells: list[str]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer).writerow(cells)
    return buffer.getvalue()


def _outcome(record: Record) -> str:
    words = [record.outcome, str(record.status or ""), record.error]
    return " ".join(word for word in words if word and word != "200")


def _read(config: Path | None, unit: str | None) -> Loaded:
    return configured(config, "router.toml", unit)


def _journal(loaded: Loaded) -> Journal:
    section, data_dir = loaded.settings.auth.audit, loaded.settings.paths.data_dir
    directory = section.directory or data_dir / "audit"
    if not (directory / "node").is_file():
        raise NotFound(f"There are no audit records in {directory}: [auth.audit] level is {section.level}.")
    return journal_of(section, data_dir)


def _is_shared(settings: Settings) -> bool:
    return settings.auth.audit.share and settings.memory.backend_type != "embedded"


async def _verified(settings: Settings, journal: Journal) -> list[Verdict]:
    async with open_state(settings.memory.unhurried(), settings.paths.data_dir) as store:
        head = await shared.head_of(store, journal.node)
        also = [("the shared store", head)] if head is not None else []
        signer: Signer = journal.signer
        verdicts = [await asyncio.to_thread(verify_files, journal.directory, journal.node, signer, also)]
        if _is_shared(settings):
            for node, days in (await shared.nodes(store)).items():
                if node != journal.node:
                    verdicts.append(await shared.verify_copy(store, node, days, signer))
        return verdicts


def _with_store(settings: Settings, act: Callable[[StateStore], Awaitable[T]]) -> T:
    async def run() -> T:
        async with open_state(settings.memory.unhurried(), settings.paths.data_dir) as store:
            return await act(store)

    return asyncio.run(run())


def _found(loaded: Loaded, query: Query, limit: int) -> list[Record]:
    journal = _journal(loaded)
    if not _is_shared(loaded.settings):
        return search_lines(newest_first(journal.directory, query), query, limit)

    async def all_nodes(store: StateStore) -> list[Record]:
        found = []
        async for line in shared.newest_first(store, query):
            record = read(line)
            if record is not None and query.takes(record, line):
                found.append(record)
        return found

    found = _with_store(loaded.settings, all_nodes)
    return sorted(found, key=lambda record: record.at, reverse=True)[:limit]


def _lines(loaded: Loaded, query: Query) -> Iterable[bytes]:
    """The oldest first."""
    journal = _journal(loaded)
    if not _is_shared(loaded.settings):
        return (
            line
            for file in files_of(journal.directory)
            if query.may_hold(file.name[:10])
            for line in file.read_bytes().splitlines(keepends=True)
        )

    async def all_nodes(store: StateStore) -> list[bytes]:
        return [line async for line in shared.newest_first(store, query)]

    lines = _with_store(loaded.settings, all_nodes)
    return sorted(lines, key=lambda line: record.at if (record := read(line)) is not None else "")


def _moment(given: str) -> str:
    """A time as records have it. Raises `InvalidRequest`."""
    if not given:
        return ""
    units = {"m": "minutes", "h": "hours", "d": "days"}
    if given[:-1].isdigit() and given[-1] in units:
        past = datetime.now(UTC) - timedelta(**{units[given[-1]]: int(given[:-1])})
        return past.strftime("%Y-%m-%dT%H:%M:%SZ")
    try:
        moment = datetime.fromisoformat(given)
    except ValueError as error:
        raise InvalidRequest(
            f"'{given[:60]}' is no time such as 2026-11-20, 2026-11-20T08:15 or 2h."
        ) from error
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
