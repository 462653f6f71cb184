"""The record of requests: whether it can be read, how large it is, and when something was last written to it."""

from __future__ import annotations

import asyncio
import importlib
import sqlite3
import stat
import time
from pathlib import Path
from urllib.parse import urlsplit

from intellirouter.config.schema.records import RecordsSection
from intellirouter.errors import NewerFormat, StateUnavailable
from intellirouter.ops.diagnose.database import read_only
from intellirouter.ops.diagnose.finding import Finding, Level
from intellirouter.ops.diagnose.postgres import RIGHTS, refusal, remedy
from intellirouter.records.row import time_of
from intellirouter.records.sqlite.schema import VERSION
from intellirouter.records.sqlite.store import FILE
from intellirouter.records.sqlite.summing import disagreements

SUMS = 8
"""Places at which the record's sums are compared with its rows."""


async def request_record(section: RecordsSection, data_dir: Path, deadline: float) -> list[Finding]:
    """Of the store that `[records]` asks for. Within about `deadline` seconds."""
    if not section.enabled:
        return [_found(Level.OK, "switched off ([records] enabled)")]
    if section.database_url is None:
        return await asyncio.to_thread(_file, data_dir / FILE, section)
    url = section.database_url.get_secret_value()
    where = urlsplit(url).hostname or "its socket"
    looking = importlib.import_module("intellirouter.records.postgres.look")
    try:
        async with asyncio.timeout(deadline + 2):
            version, follows, there, newest, rights = await asyncio.to_thread(
                looking.look, url, deadline, RIGHTS
            )
    except (TimeoutError, StateUnavailable) as cause:
        reason = cause.message if isinstance(cause, StateUnavailable) else f"no answer within {deadline:g} s"
        advice = remedy(reason, "[records] database_url")
        return [_found(Level.PROBLEM, f"Postgres at {where} cannot be asked: {reason}", advice)]
    if follows:
        message = f"Postgres {version} at {where} is a standby: nothing can be recorded"
        return [_found(Level.PROBLEM, message, "Point [records] database_url at the primary.")]
    if (refused := refusal(rights, made=there)) is not None:
        return [_found(Level.PROBLEM, f"Postgres {version} at {where} {refused[0]}", refused[1])]
    told = _ago(newest) if there else "not made yet"
    return [_found(Level.OK, f"Postgres {version} at {where}, {told}")]


def _file(file: Path, section: RecordsSection) -> list[Finding]:
    if not file.exists():
        return [_found(Level.OK, f"{file} is not made yet: the node has not run")]
    try:
        with read_only(file) as connection:
            found = connection.execute("pragma user_version").fetchone()[0]
            if found > VERSION:
                newer = NewerFormat(str(file), found, VERSION)
                return [_found(Level.PROBLEM, newer.message, "Until then nothing is recorded.")]
            newest = connection.execute("select max(id) from requests").fetchone()[0]
            wrong = _wrong(connection)
            held, aside, since = _held(connection)
    except (sqlite3.Error, OSError) as error:
        advice = (
            "The node moves a damaged file aside at its next start; the last backup may hold an older one."
        )
        return [_found(Level.PROBLEM, f"{file}: {error}", advice)]
    if wrong:
        message = f"{file}: {wrong} of {SUMS} sums that were looked at are not those of their rows"
        return [_found(Level.PROBLEM, message, "intellirouter usage --recount makes them anew.")]
    size = file.stat().st_size
    last = max((moment for moment in (newest and time_of(newest), since) if moment), default=None)
    told = f"{size / 2**20:.1f} MiB in {file}, {_ago(last)}"
    if held:
        told += f"; waiting to become rows: {held:,}"
    findings = [_found(Level.OK, told)]
    if aside:
        message = f"{file}: requests put aside, for they could not be read: {aside:,}"
        advice = (
            "Is their key among [security] previous_keys? The log says why; they are tried at each start."
        )
        findings.append(_found(Level.WARNING, message, advice))
    if size > 1.2 * section.max_bytes:
        message = f"{file} is larger than [records] max_bytes ({section.max_bytes / 2**20:.0f} MiB)"
        findings.append(
            _found(Level.WARNING, message, "A running node removes the oldest rows; is one running?")
        )
    if stat.S_IMODE(file.stat().st_mode) & 0o077:
        message = f"{file} may be read by others ({stat.S_IMODE(file.stat().st_mode):04o})"
        findings.append(_found(Level.WARNING, message, f"chmod 600 {file}"))
    return findings


def _wrong(connection: sqlite3.Connection) -> int:
    """Sums that are not those of their rows; none where the file is of a version that kept none."""
    there = connection.execute("select 1 from sqlite_master where name = 'packs'").fetchone()
    return disagreements(connection, SUMS) if there else 0


def _held(connection: sqlite3.Connection) -> tuple[int, int, float | None]:
    """How many requests are held and no row yet, how many were put aside, and since when (Unix seconds) the latest of the held."""
    if not connection.execute("select 1 from sqlite_master where name = 'held'").fetchone():
        return 0, 0, None
    words = (
        "select ifnull(sum(rows) filter (where number > 0), 0), ifnull(sum(rows) filter (where number < 0), 0), "
        "max(since) filter (where number > 0) from held"
    )
    held, aside, since = connection.execute(words).fetchone()
    return held, aside, since


def _ago(newest: float | None) -> str:
    if newest is None:
        return "empty"
    return f"last written {time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime(newest))} UTC"


def _found(level: Level, message: str, advice: str = "") -> Finding:
    return Finding("state", "record", level, message, advice)
