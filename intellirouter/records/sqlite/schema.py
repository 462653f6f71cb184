"""The tables of `requests.db`.

Rows lie in the order of their ids, which is that of time. An index holds the id beside its column, so that a filtered page is read
newest first without sorting; where most rows have nothing to say, only those that do are in it.
"""

from __future__ import annotations

from intellirouter.records.columns import COLUMNS, quoted
from intellirouter.records.conditions import USUAL
from intellirouter.records.row import DEAR_BUCKET, SLOW_BUCKET
from intellirouter.records.sqlite import held, packs

VERSION = 6

_TYPES = dict.fromkeys(COLUMNS, "text") | {
    "id": "integer primary key",
    **dict.fromkeys(("ended", "seconds", "first_token", "cost_usd", "dearest_usd"), "real"),
    **dict.fromkeys(
        (
            "stream status input_tokens output_tokens cached_tokens written_tokens reasoning_tokens "
            "latency_bucket first_bucket cost_bucket"
        ).split(),
        "integer",
    ),
}
_columns = ",\n  ".join(f'"{name}" {kind}' for name, kind in _TYPES.items())

WHERE_SAID = (
    "model", "served_model", "provider", "team", "user", "session", "chain_run", "trace_id", "tenant", "persona", "cache", "error",
)  # fmt: skip
"""Columns whose index leaves out the rows where they are empty."""
PARTIAL = frozenset((*WHERE_SAID, *USUAL))
_said = "\n".join(
    f"""create index if not exists by_{name} on requests ("{name}", id) where "{name}" <> '';"""
    for name in WHERE_SAID
)

_unusual = "\n".join(
    f"""create index if not exists by_{name} on requests ("{name}", id) where "{name}" <> '{usual}';"""
    for name, usual in USUAL.items()
)

SCHEMA = f"""
create table if not exists requests (
  {_columns},
  "feedback" text,
  "score" real
);
{_said}
{_unusual}
create index if not exists by_key on requests ("key", id);
create index if not exists by_request_id on requests ("request_id");
create index if not exists by_failed on requests ("status", id) where "status" >= 400;
create index if not exists by_tenant_failed on requests ("tenant", id, "status") where "status" >= 400;
create index if not exists by_latency on requests ("latency_bucket", id) where "latency_bucket" >= {SLOW_BUCKET};
create index if not exists by_cost on requests ("cost_bucket", id) where "cost_bucket" >= {DEAR_BUCKET};
create table if not exists tags (tag text, id integer, primary key (tag, id)) without rowid;
create index if not exists by_tagged on tags (id);
create table if not exists kept (rows integer);
insert into kept select (select count(*) from requests) where not exists (select 1 from kept);
create table if not exists content (id integer primary key, asked text, answered text, message text);
create virtual table if not exists words using fts5 (
  asked, answered, message, content = 'content', content_rowid = 'id', detail = 'none', tokenize = 'unicode61'
);
create virtual table if not exists terms using fts5vocab ('words', 'instance');
create trigger if not exists content_in after insert on content begin
  insert into words (rowid, asked, answered, message) values (new.id, new.asked, new.answered, new.message);
end;
create trigger if not exists content_out after delete on content begin
  insert into words (words, rowid, asked, answered, message)
  values ('delete', old.id, old.asked, old.answered, old.message);
end;
{packs.SCHEMA}{held.SCHEMA}pragma user_version = {VERSION};
"""  # noqa: S608  names of ours

INSERT = f"insert into requests ({quoted(COLUMNS)}) values "  # noqa: S608  names of ours
