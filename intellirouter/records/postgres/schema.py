"""The tables in Postgres: one partition a day, by the range of the ids that end on it."""

from __future__ import annotations

from datetime import UTC, datetime

from intellirouter.records.columns import COLUMNS
from intellirouter.records.conditions import USUAL
from intellirouter.records.row import DEAR_BUCKET, SLOW_BUCKET, id_at

SCHEMA_NAME = "intellirouter_records"
LOCK = 0x6972_7265
"""Of whoever makes or drops tables, so that nodes that start together do not do so at once."""
DAY = 86_400

_TYPES = dict.fromkeys(COLUMNS, "text") | {
    "id": "bigint not null",
    **dict.fromkeys(("ended", "seconds", "first_token", "cost_usd", "dearest_usd"), "double precision"),
    **dict.fromkeys(
        "input_tokens output_tokens cached_tokens written_tokens reasoning_tokens".split(), "bigint"
    ),
    **dict.fromkeys("status latency_bucket first_bucket cost_bucket".split(), "integer"),
    "stream": "boolean",
}
_columns = ",\n  ".join(f'"{name}" {kind}' for name, kind in _TYPES.items())
WHERE_SAID = ("model", "provider", "team", "user", "session", "chain_run", "trace_id")
OF_A_DAY = dict.fromkeys(("served_model", "tenant", "persona", "cache", "error"), "") | USUAL
"""Columns with an index in each day's table, and what rows it leaves out: a day that is there already is not held up for one."""
_said = "\n".join(
    f"""create index if not exists by_{name} on requests ("{name}", id) where "{name}" <> '';"""
    for name in WHERE_SAID
)

VERSION = 1
"""Raised with a change that an older version would read wrongly: not for one more column."""
FORMAT = f"""
create schema if not exists {SCHEMA_NAME};
set search_path to {SCHEMA_NAME};
create table if not exists format (version integer primary key);
"""
SCHEMA = f"""
create table if not exists requests (
  {_columns},
  "feedback" text,
  "score" double precision,
  "labels" text[],
  "asked" text,
  "answered" text,
  "words" tsvector,
  primary key (id)
) partition by range (id);
{_said}
create index if not exists by_key on requests ("key", id);
create index if not exists by_request_id on requests ("request_id");
create index if not exists by_failed on requests ("status", id) where "status" >= 400;
create index if not exists by_latency on requests ("latency_bucket", id) where "latency_bucket" >= {SLOW_BUCKET};
create index if not exists by_cost on requests ("cost_bucket", id) where "cost_bucket" >= {DEAR_BUCKET};
create index if not exists by_score on requests ("id") where "score" is not null;
create index if not exists by_label on requests using gin ("labels") where "labels" is not null;
create index if not exists by_word on requests using gin ("words") where "words" is not null;
create table if not exists adopted ("source" text, "own" bigint, "id" bigint, primary key ("source", "own"));
create index if not exists adopted_by_id on adopted ("id");
"""

INSERTED = (*COLUMNS, "labels", "asked", "answered")
_names = ", ".join(f'"{name}"' for name in (*INSERTED, "words"))
_marks = ", ".join(["%s"] * len(INSERTED))
INSERT = (
    f"insert into requests ({_names}) values ({_marks}, to_tsvector('simple', %s)) on conflict do nothing"  # noqa: S608
)

ADOPT = """insert into adopted select %s, own, id from unnest(%s::bigint[], %s::bigint[]) as told (own, id)
on conflict do nothing returning own"""
FORGET_ADOPTED = "delete from adopted where id < %s"


def day_of(when: float) -> int:
    """The number of the day in UTC."""
    return int(when // DAY)


def partition(day: int) -> str:
    """The table of a day."""
    return f"requests_{datetime.fromtimestamp(day * DAY, UTC):%Y%m%d}"


def create_partition(day: int) -> str:
    """The statements that make it."""
    table = partition(day)
    span = f"from ({id_at(day * DAY)}) to ({id_at((day + 1) * DAY)})"
    indexes = (
        f"""create index {table}_{name} on {table} ("{name}", id) where "{name}" <> '{usual}'"""
        for name, usual in OF_A_DAY.items()
    )
    return "; ".join((f"create table {table} partition of requests for values {span}", *indexes))
