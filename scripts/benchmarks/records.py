"""`scripts/bench records`: the record of requests at size. How long a page takes among millions, how fast rows are written, how large they are.

The rows lie evenly over 30 days and look like those of a busy node: fifty models, three thousand keys and users, tags, errors, sessions.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import sqlite3
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import psycopg
from rich.console import Console
from rich.table import Table

from intellirouter.records.columns import COLUMNS, quoted, values
from intellirouter.records.held import release_all
from intellirouter.records.intake import Bounds
from intellirouter.records.postgres.store import PostgresStore
from intellirouter.records.query import BY, Query
from intellirouter.records.recorder import Recorder
from intellirouter.records.row import SHIFT, Detail, Ids, Row
from intellirouter.records.sqlite.store import SqliteStore
from intellirouter.records.store import READ_SECONDS, Store, TooSlow
from intellirouter.roles.router.recorded import JOTTED, AskedPart, Told
from intellirouter.web.noting import Failure, Seen

DAYS = 30
BATCH = 500_000
SAMPLE = 10_007
WRITTEN_AT_ONCE = 500
PAGE = 50


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 1 when a page took longer than a tenth of a second, or writing kept up with fewer than 2,000 rows/s."""
    parser = argparse.ArgumentParser(prog="scripts/bench records", description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000_000, help="default 2000000")
    parser.add_argument("--seconds", type=float, default=10, help="of sustained writing (default 10)")
    parser.add_argument("--keep", type=Path, help="make the file here, or measure the one that is there")
    parser.add_argument(
        "--prune", action="store_true", help="forget the oldest tenth too, and tell how that went"
    )
    parser.add_argument("--postgres", help="write the rows to the Postgres of this URL, and ask there")
    options = parser.parse_args(arguments)
    if options.postgres is not None:
        return in_postgres(options.postgres, options.rows)
    with tempfile.TemporaryDirectory(prefix="intellirouter-bench-") as name:
        directory = options.keep or Path(name)
        directory.mkdir(parents=True, exist_ok=True)
        file = directory / "requests.db"
        table = Table("what", "figure")
        if made := filled(file, options.rows):
            table.add_row("rows/s made", f"{made:,.0f}")
        with contextlib.closing(SqliteStore(file)) as store:
            if packed := packs(store):
                table.add_row("µs of CPU a row packed, and the longest piece of it", packed)
            size = store.size()
            table.add_row("rows", f"{size.rows:,}")
            table.add_row("bytes on disk a row, indexes and all", f"{size.bytes / size.rows:.0f}")
            slowest = 0.0
            for title, ask in asks(store).items():
                first, usual, cpu = timed(ask)
                slowest = max(slowest, usual)
                table.add_row(
                    title, f"{usual * 1e3:.1f} ms, at first {first * 1e3:.1f} ms ({cpu * 1e3:.1f} ms of CPU)"
                )
            for title, ask in reports(store).items():
                table.add_row(title, _told(ask))
        rate, cpu = sustained(file, options.seconds)
        table.add_row("requests/s that are noted, kept and made rows of", f"{rate:,.0f}")
        table.add_row("µs of CPU for one, all in all", f"{cpu * 1e6:.0f}")
        if options.prune:
            for title, figure in pruned(file).items():
                table.add_row(title, figure)
        Console().print(table)
    return int(slowest > 0.1 or rate < 2_000)


def in_postgres(url: str, rows: int) -> int:
    """Rows written as a recorder writes them, as many as there are over two days, and the pages of them; exit code 1 when one took
    longer than a tenth of a second, or fewer than 2,000 rows/s were written."""
    chance, ids, began = random.Random(7), Ids(), time.time() - 2 * 86_400
    table = Table("what", "figure")
    with contextlib.closing(PostgresStore(url)) as store:
        took, used = 0.0, 0.0
        for at in range(0, rows, WRITTEN_AT_ONCE):
            some = [
                row(ids, began + number * 2 * 86_400 / rows, chance)
                for number in range(at, at + WRITTEN_AT_ONCE)
            ]
            clock, cpu = time.perf_counter(), time.thread_time()
            store.write(some)
            took, used = took + time.perf_counter() - clock, used + time.thread_time() - cpu
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("analyze")  # as the server does by itself within a minute
        table.add_row("rows/s written", f"{rows / took:,.0f}")
        table.add_row("µs of our CPU a row written", f"{used / rows * 1e6:.0f}")
        size, slowest = store.size(), 0.0
        table.add_row("bytes on disk a row, indexes and all", f"{size.bytes / max(1, size.rows):.0f}")
        for title, ask in asks(store).items():
            first, usual, _ = timed(ask)
            slowest = max(slowest, usual)
            table.add_row(title, f"{usual * 1e3:.1f} ms, at first {first * 1e3:.1f} ms")
        for title, ask in reports(store).items():
            table.add_row(title, _told(ask))
    Console().print(table)
    return int(slowest > 0.1 or rows / took < 2_000)


def timed(ask: Callable[[], object], times: int = 5) -> tuple[float, float, float]:
    """Seconds of the first time, and of the middle one; and how long the middle one had a processor, whoever else wanted it."""
    took, had = [], []
    for _ in range(times):
        began, used = time.perf_counter(), time.thread_time()
        ask()
        had.append(time.thread_time() - used)
        took.append(time.perf_counter() - began)
    return took[0], sorted(took)[times // 2], sorted(had)[times // 2]


def _told(ask: Callable[[], object]) -> str:
    try:
        first, usual, cpu = timed(ask, 3)
        return f"{usual * 1e3:.0f} ms, at first {first * 1e3:.0f} ms ({cpu * 1e3:.0f} ms of CPU)"
    except TooSlow:
        return f"refused: more than {READ_SECONDS:.0f} s"


def asks(store: Store) -> dict[str, Callable[[], object]]:
    """What consoles, commands and the API ask to show rows."""
    pages = {
        f"page of {PAGE}: {title}": partial(store.page, query, PAGE) for title, query in questions().items()
    }
    newest = store.page(Query(), PAGE).rows
    oldest = store.size().oldest or 0.0
    far = store.page(Query(until=(oldest + newest[0].ended) / 2), 1).rows[0].id
    session = next((row.session for row in newest if row.session), "none")
    return pages | {
        "the page behind a cursor in the middle": partial(store.page, Query(), PAGE, far),
        "what followers ask each second": partial(store.page, Query(), 200, None, newest[-1].id),
        "a request, whole": partial(store.get, newest[0].request_id, None),
        "a request that is not there": partial(store.get, "req_none", "tenant-1"),
        "a session": partial(store.session, session, None, 1000),
        "a session that is not there": partial(store.session, "none", "tenant-1", 1000),
        "the size": store.size,
    }


def packs(store: SqliteStore) -> str:
    """What it took to pack every row that was not; empty where all were."""
    rows, longest, began = 0, 0.0, time.process_time()
    while True:
        at = time.perf_counter()
        packed = store.pack()
        longest = max(longest, time.perf_counter() - at)
        if not packed:
            took = time.process_time() - began
            return f"{took / rows * 1e6:.1f} µs, {longest * 1e3:.0f} ms" if rows else ""
        rows += packed


def reports(store: Store) -> dict[str, Callable[[], object]]:
    """Sums as the console and the commands ask for them."""
    now = store.page(Query(), 1).rows[0].ended
    asked = partial(Query, asked_a_model=True)
    hour, day, week = asked(since=now - 3600), asked(since=now - 86_400), asked(since=now - 7 * 86_400)
    found: dict[str, Callable[[], object]] = {
        f"usage of an hour by {by}": partial(store.usage, by, hour) for by in BY
    }
    found["usage of a day by model"] = partial(store.usage, "model", day)
    found["usage of a day by key"] = partial(store.usage, "key", day)
    found["usage of a day by tag"] = partial(store.usage, "tag", day)
    found["usage of a day by hour"] = partial(store.usage, "hour", day)
    found["usage of a tenant's day by key"] = partial(
        store.usage, "key", asked(since=now - 86_400, tenant="tenant-7")
    )
    found["usage of a week by day"] = partial(store.usage, "day", week)
    found["usage of a week by model"] = partial(store.usage, "model", week)
    found["usage of a key in a week by model"] = partial(
        store.usage, "model", asked(since=now - 7 * 86_400, key="key-7-7")
    )
    found["usage of thirty days by day"] = partial(store.usage, "day", asked())
    found["the total of a day"] = partial(store.total, day)
    return found


def pruned(file: Path) -> dict[str, str]:
    """How long the pieces took in which the oldest tenth was forgotten, and what readers and the file noticed of it."""
    store = SqliteStore(file)
    before = time.time() - DAYS * 0.9 * 86_400
    rows, longest, read = 0, 0.0, 0.0
    size, began = file.stat().st_size, time.perf_counter()
    while True:
        at = time.perf_counter()
        removed = store.prune(before, 1 << 60)
        longest = max(longest, time.perf_counter() - at)
        if not removed:
            break
        rows += removed
        if rows % 50_000 < removed:
            read = max(read, timed(partial(store.page, Query(), PAGE), 1)[0])
    took = time.perf_counter() - began
    store.close()
    return {
        "rows/s forgotten": f"{rows / took:,.0f} ({rows:,} rows)",
        "the longest piece of it": f"{longest * 1e3:.0f} ms",
        "the newest page meanwhile, at most": f"{read * 1e3:.0f} ms",
        "the file": f"{size / 1e9:.2f} GB, then {file.stat().st_size / 1e9:.2f} GB",
    }


def provider_of(model: str) -> str:
    """Who serves it."""
    return f"provider-{sum(map(ord, model)) % 8}"


def row(ids: Ids, when: float, chance: random.Random) -> Row:
    """A request as a busy node sees it."""
    failed = chance.random() < 0.01
    model = f"model-{int(chance.paretovariate(1.2)) % 50}"
    tenant = chance.randrange(100)
    made = Row(
        ended=when,
        seconds=chance.lognormvariate(0.3, 0.8),
        first_token=chance.lognormvariate(-1, 0.5),
        request_id=f"req_{int(when * 1e3) << 80 | chance.getrandbits(80):032x}",
        session=f"session-{int(when / 600)}-{tenant}" if chance.random() < 0.3 else "",
        role="Router",
        node="node-1",
        method="POST",
        path="/v1/chat/completions",
        endpoint="chat_completions",
        dialect="openai",
        stream=True,
        status=500 if failed else 200,
        error="upstream_unavailable" if failed else "",
        message="no target of the model can be asked now" if failed else "",
        key=f"key-{tenant}-{chance.randrange(30)}",
        team=f"team-{tenant % 20}",
        tenant=f"tenant-{tenant}",
        user=f"user-{tenant}-{chance.randrange(30)}" if chance.random() < 0.5 else "",
        tags=(f"project-{chance.randrange(200)}",) if chance.random() < 0.5 else (),
        model=model,
        served_model=f"{model}-2026",
        provider=provider_of(model),
        strategy="cost-optimized",
        input_tokens=chance.randrange(4000),
        output_tokens=chance.randrange(1000),
        cost_usd=chance.lognormvariate(-7, 1.2),
        dearest_usd=chance.lognormvariate(-6, 1.2),
        user_agent="OpenAI/Python 2.9.0",
        client="10.0.0.1",
        detail=Detail(
            decision={"strategy": "cost-optimized", "order": [f"provider/{model}"], "passed_over": {}},
            attempts=[{"target": f"provider/{model}", "outcome": "ok", "ms": 812.4}],
            steps={"ours": 0.4},
        ),
    )
    made.id = ids.next(when)
    return made


def filled(file: Path, rows: int) -> float:
    """Rows a second; 0 when the file was there."""
    if file.exists():
        return 0.0
    SqliteStore(file).close()
    began = time.perf_counter()
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("pragma synchronous = off")
        connection.execute("pragma cache_size = -500000")
        indexes = connection.execute(
            "select name, sql from sqlite_master where type = 'index' and sql is not null"
        ).fetchall()
        for name, _ in indexes:
            connection.execute(f"drop index {name}")
        _sample(connection)
        for at in range(0, rows, BATCH):
            print(f"{at:,} rows …", file=sys.stderr, flush=True)
            connection.execute(_COPIES, (at, min(rows, at + BATCH), time.time() - DAYS * 86_400, rows))
        print("indexes …", file=sys.stderr, flush=True)
        connection.execute(
            "insert into tags select json_extract(tags, '$[0]'), id from requests where tags is not null order by 1, 2"
        )
        connection.execute(
            "insert into content select id, null, null, message from requests where message <> ''"
        )
        for _, words in indexes:
            connection.execute(words)
        connection.execute("update kept set rows = ?", (rows,))
    return rows / (time.perf_counter() - began)


def _sample(connection: sqlite3.Connection) -> None:
    """Rows as they are made for a store; the file holds copies of them, each at its own time and with its own ids."""
    ids, chance = Ids(), random.Random(7)
    connection.execute(f"create temp table sample ({quoted(COLUMNS)})")
    lines = [values(row(ids, 0.0, chance)) for _ in range(SAMPLE)]
    connection.executemany(f"insert into sample values ({', '.join('?' * len(COLUMNS))})", lines)


_OWN = {
    "id": f"(cast((ended + n.n * width) * 1000 as integer) << {SHIFT}) + n.n % 512",
    "ended": "ended + n.n * width",
    "request_id": "printf('req_%012x%020x', cast((ended + n.n * width) * 1000 as integer), abs(random()))",
    "session": """case when s."session" <> '' then printf('session-%d-%d', n.n / 500, n.n % 100) else '' end""",
}
_COPIES = f"""
with recursive n(n) as (select ?1 union all select n + 1 from n where n + 1 < ?2)
insert into requests ({quoted(COLUMNS)})
select {", ".join(_OWN.get(name, f's."{name}"').replace("ended +", "?3 +").replace("width", f"{DAYS * 86_400.0} / ?4") for name in COLUMNS)}
from n cross join sample s on s.rowid = 1 + (n.n * 7919) % {SAMPLE}
"""


def questions() -> dict[str, Query]:
    """What people ask, from the common to the rare."""
    now = time.time()
    return {
        "the newest": Query(),
        "of a tenant": Query(tenant="tenant-7"),
        "a common model": Query(model="model-1"),
        "a rare model": Query(model="model-49"),
        "a key": Query(key="key-7-7"),
        "a user": Query(user="user-7-7"),
        "a tag": Query(tag="project-7"),
        "a tag of a key": Query(tag="project-7", key="key-7-7"),
        "failed": Query(status="failed"),
        "a status that never was": Query(status="418"),
        "failed of a model and a team": Query(status="5xx", model="model-2", team="team-7"),
        "words of an error": Query(text="no target"),
        "slower than 30 s": Query(min_latency=30),
        "dearer than 10 cents": Query(min_cost=0.1),
        "an hour two weeks ago": Query(since=now - 14 * 86_400, until=now - 14 * 86_400 + 3600),
        "an hour in which nothing was": Query(since=now - 400 * 86_400, until=now - 399 * 86_400),
        "a request by its id": Query(request_id="req_none"),
        "a model that is not there": Query(model="none"),
        "a common model of a team": Query(model="model-1", team="team-3"),
        "a model that a provider never served": Query(model="model-1", provider="none"),
        "a persona that is not there": Query(persona="none"),
        "a cache hit, of which there is none": Query(cache="hit"),
        "an error that never was": Query(error="none"),
        "an endpoint that is not there": Query(endpoint="none"),
        "a role that is not there": Query(role="none"),
        "a tenant that is not there": Query(tenant="none"),
        "a tenant, of another's key": Query(tenant="tenant-1", key="key-2-2"),
        "a tenant and a common model": Query(tenant="tenant-1", model="model-1"),
        "a tenant's failures": Query(tenant="tenant-1", status="failed"),
        "a tenant's tag": Query(tenant="tenant-1", tag="project-7"),
        "a tag that is not there": Query(tag="none"),
        "words that nobody said": Query(text="zebra"),
        "words of a tenant": Query(text="no target", tenant="tenant-1"),
        "a common model, slower than 10 s": Query(model="model-1", min_latency=10),
        "a common model, slower than 5 s": Query(model="model-1", min_latency=5),
        "slower than 5 s and failed": Query(min_latency=5, status="failed"),
        "dearer than it ever was": Query(min_cost=1e6),
        "slower than it ever was": Query(min_latency=1e6),
        "requests of models alone": Query(asked_a_model=True),
        "a common model on a day three weeks ago": Query(
            model="model-1", since=now - 22 * 86_400, until=now - 21 * 86_400
        ),
        "a key and a user that never met": Query(key="key-7-7", user="user-8-8"),
        "two common ones that never met": Query(provider=provider_of("model-1"), served_model="model-2-2026"),
    }


def sustained(file: Path, seconds: float) -> tuple[float, float]:
    """Requests a second that become rows of the large file while 4,000 a second come, none of them dropped; and what one costs.

    The time counts until the last of them is a row, which somebody who asks waits for.
    """
    recorder = Recorder(
        lambda: SqliteStore(file),
        Bounds(max_rows=1_000_000, max_held_bytes=1 << 40, max_bytes=1 << 50),
        JOTTED,
    )
    chance, ids = random.Random(8), Ids()
    samples = [row(ids, time.time(), chance) for _ in range(1000)]
    recorder.start()
    began, spent = time.perf_counter(), time.process_time()
    noted = 0
    while (passed := time.perf_counter() - began) < seconds:
        while noted < passed * 4000:
            recorder.jot(seen_of(samples[noted % 1000]))
            noted += 1
        threading.Event().wait(0.01)
    while recorder.standing().written < noted:
        threading.Event().wait(0.01)
    with contextlib.closing(SqliteStore(file)) as store:
        release_all(store.held, JOTTED.rows)
    took, spent = time.perf_counter() - began, time.process_time() - spent
    recorder.close(60)
    return noted / took, spent / noted


def seen_of(row: Row) -> Seen[AskedPart]:
    """What the Router had noted of it."""
    tokens = (row.input_tokens or 0, row.output_tokens or 0, None, None, None, None)
    target = f"{row.provider}/{row.served_model}"
    told = Told(
        row.served_model,
        row.provider,
        row.detail.decision,
        target,
        {},
        row.seconds,
        (),
        tokens,
        row.cost_usd,
        "",
        None,
        None,
        None,
        None,
    )
    part = AskedPart(
        row.model, row.dialect, True, row.user, row.tags, row.session, (), row.first_token, None, (), told
    )
    error = Failure(row.error, row.message) if row.error else None
    return Seen(
        time.time(),
        row.seconds,
        row.role,
        row.endpoint,
        row.method,
        row.path,
        row.request_id,
        row.status,
        row.key,
        row.tenant,
        row.team,
        None,
        None,
        None,
        row.user_agent,
        row.client,
        None,
        part,
        error,
    )


if __name__ == "__main__":
    sys.exit(main())
