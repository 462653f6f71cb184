"""The database of the chain runs: Postgres, or a file of this node."""

from __future__ import annotations

import asyncio
import importlib
import sqlite3
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from intellirouter.config.schema.chain_engine import ChainEngineSection
from intellirouter.counts import counted
from intellirouter.ops.diagnose.database import read_only, trouble
from intellirouter.ops.diagnose.finding import Finding, Level
from intellirouter.ops.diagnose.postgres import RIGHTS, refusal, remedy

_LATE = 3600.0
"""Seconds that a run may wait for the centre before that is a warning."""
_UNDER_WAY = "('PENDING', 'ENQUEUED')"


async def runs(section: ChainEngineSection, data_dir: Path, deadline: float) -> list[Finding]:
    """What is kept, and what is under way. Within about `deadline` seconds."""
    if section.database_url is None:
        file = data_dir / "chains.db"
        if not file.exists():
            return []
        return [_file(file)] + ([_forwarded(file)] if section.centre is not None else [])
    url = section.database_url.get_secret_value()
    where = urlsplit(url).hostname or "its socket"
    began = time.perf_counter()
    try:
        async with asyncio.timeout(deadline):
            version, follows, under_way, rights = await _postgres(url, deadline)
    except (TimeoutError, OSError) as cause:
        reason = f"within {deadline:g} s" if isinstance(cause, TimeoutError) else f"({cause})"
        message = f"Postgres at {where} does not {'take us' if 'FATAL' in reason else 'answer'} {reason}"
        advice = remedy(reason, "[chain_engine] database_url")
        return [Finding("state", "runs", Level.PROBLEM, message, advice)]
    took = (time.perf_counter() - began) * 1e3
    if follows:
        message = f"Postgres {version} at {where} is a standby: runs cannot be written"
        return [Finding("state", "runs", Level.PROBLEM, message, "Point database_url at the primary.")]
    if (refused := refusal(rights, made=under_way is not None)) is not None:
        message = f"Postgres {version} at {where} {refused[0]}"
        return [Finding("state", "runs", Level.PROBLEM, message, refused[1])]
    told = "not made yet" if under_way is None else f"{under_way} under way"
    return [Finding("state", "runs", Level.OK, f"Postgres {version} at {where} in {took:.0f} ms, {told}")]


async def _postgres(url: str, deadline: float) -> tuple[str, bool, int | None, tuple[bool, bool, str, str]]:
    """Version, whether it is a standby, the runs under way, and the answer to `RIGHTS`. Raises `OSError`."""
    # comes with the durable runtime; a node without chains need not load it
    psycopg: Any = importlib.import_module("psycopg")
    try:
        async with await psycopg.AsyncConnection.connect(
            url, connect_timeout=max(2, round(deadline)), autocommit=True
        ) as connection:
            words = "select current_setting('server_version'), pg_is_in_recovery(), to_regclass('dbos.workflow_status')"
            version, follows, table = await (await connection.execute(words)).fetchone()
            rights = await (await connection.execute(RIGHTS)).fetchone()
            if table is None:
                return version, follows, None, rights
            words = f"select count(*) from dbos.workflow_status where status in {_UNDER_WAY}"  # noqa: S608  our own words
            return version, follows, (await (await connection.execute(words)).fetchone())[0], rights
    except psycopg.Error as cause:
        raise OSError(str(cause).partition("\n")[0]) from None


def _file(file: Path) -> Finding:
    """Opened read only."""
    try:
        with read_only(file) as connection:
            words = f"select count(*) from workflow_status where status in {_UNDER_WAY}"  # noqa: S608  our own words
            under_way = connection.execute(words).fetchone()[0]
    except (sqlite3.Error, OSError) as error:
        return trouble("state", "runs", file, error)
    return Finding(
        "state",
        "runs",
        Level.OK,
        f"{under_way} under way, {file.stat().st_size / 2**20:.1f} MiB in {file}",
    )


def _forwarded(file: Path) -> Finding:
    """What an edge has not forwarded yet. Opened read only."""
    words = (
        "select count(*), min(since), sum(attempts > 0) from intellirouter_chain_outbox where change > sent"
    )
    lost = "select coalesce(sum(items), 0) from intellirouter_chain_outbox_given_up"
    try:
        with read_only(file) as connection:
            waiting, since, refused = connection.execute(words).fetchone()
            given_up = connection.execute(lost).fetchone()[0]
    except sqlite3.Error as error:
        advice = "Start the node once: it makes what is missing."
        return Finding("state", "centre", Level.WARNING, f"{file}: {error}", advice)
    told = f"{counted(waiting, 'run waits', 'runs wait')} for the centre"
    if waiting:
        told += f", the oldest for {max(0.0, time.time() - since) / 3600:.1f} h"
    if refused:
        told += f", {refused} of them refused"
    if given_up:
        told += f"; {given_up} were deleted before the centre had them"
    late = waiting and time.time() - since > _LATE
    level = Level.WARNING if late or refused or given_up else Level.OK
    return Finding(
        "state", "centre", level, told, "intellirouter chain edge status says why." if level else ""
    )
