"""`scripts/bench records`: the record of requests at size. How long a page takes among millions, how fast rows are written, how large they are.

The rows lie evenly over 30 days and look like those of a busy node: fifty models, three thousand keys and users, tags, errors, sessions.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from intellirouter.records.query import Query
from intellirouter.records.recorder import Bounds, Recorder
from intellirouter.records.row import Detail, Ids, Row
from intellirouter.records.sqlite.store import SqliteStore

DAYS = 30
BATCH = 5_000
PAGE = 50


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 1 when a page took longer than a tenth of a second, or writing kept up with fewer than 2,000 rows/s."""
    parser = argparse.ArgumentParser(prog="scripts/bench records", description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000_000, help="default 2000000")
    parser.add_argument("--seconds", type=float, default=10, help="of sustained writing (default 10)")
    parser.add_argument("--keep", type=Path, help="make the file here, or measure the one that is there")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="intellirouter-bench-") as name:
        directory = options.keep or Path(name)
        directory.mkdir(parents=True, exist_ok=True)
        made = filled(directory / "requests.db", options.rows)
        store = SqliteStore(directory / "requests.db")
        size = store.size()
        table = Table("what", "figure")
        table.add_row("rows", f"{size.rows:,}")
        table.add_row("bytes on disk a row, indexes and all", f"{size.bytes / size.rows:.0f}")
        if made:
            table.add_row("rows/s written in bulk", f"{made:,.0f}")
        slowest = 0.0
        for title, query in questions().items():
            took = [asked(store, query) for _ in range(5)]
            slowest = max(slowest, sorted(took)[2])
            table.add_row(
                f"page of {PAGE}: {title}", f"{sorted(took)[2] * 1e3:.1f} ms, at first {took[0] * 1e3:.1f} ms"
            )
        began = time.perf_counter()
        day = Query(since=time.time() - 86_400)
        store.usage("model", day)
        table.add_row("usage of a day by model", f"{(time.perf_counter() - began) * 1e3:.0f} ms")
        store.close()
        rate = sustained(directory / "requests.db", options.seconds)
        table.add_row("rows/s the recorder keeps up with", f"{rate:,.0f}")
        Console().print(table)
    return int(slowest > 0.1 or rate < 2_000)


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
        provider=f"provider-{hash(model) % 8}",
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
    store, ids, chance = SqliteStore(file), Ids(), random.Random(7)
    start, began = time.time() - DAYS * 86_400, time.perf_counter()
    for at in range(0, rows, BATCH):
        store.write(
            [row(ids, start + DAYS * 86_400 * (at + n) / rows, chance) for n in range(min(BATCH, rows - at))]
        )
        if at % 500_000 == 0:
            print(f"{at:,} rows …", file=sys.stderr, flush=True)
    store.close()
    return rows / (time.perf_counter() - began)


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
        "a request by its id": Query(request_id="req_none"),
    }


def asked(store: SqliteStore, query: Query) -> float:
    """Seconds of a page."""
    began = time.perf_counter()
    store.page(query, PAGE)
    return time.perf_counter() - began


def sustained(file: Path, seconds: float) -> float:
    """Rows a second that a recorder writes into the large file while 4,000 a second come, none of them dropped."""
    recorder = Recorder(
        lambda: SqliteStore(file), Bounds(max_rows=1_000_000, max_held_bytes=1 << 40, max_bytes=1 << 50)
    )
    chance, ids = random.Random(8), Ids()
    samples = [row(ids, time.time(), chance) for _ in range(1000)]
    recorder.start()
    began = time.perf_counter()
    noted = 0
    while (passed := time.perf_counter() - began) < seconds:
        while noted < passed * 4000:
            recorder.note(_again, samples[noted % 1000], 1000)
            noted += 1
        threading.Event().wait(0.01)
    written = recorder.standing().written
    recorder.close(60)
    return written / seconds


def _again(sample: Row) -> Row:
    made = Row(**{name: getattr(sample, name) for name in Row.__struct_fields__})
    made.ended = time.time()
    return made


if __name__ == "__main__":
    sys.exit(main())
