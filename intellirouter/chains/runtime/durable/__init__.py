"""Durable runs on DBOS: the only room that imports it.

    engine    the database: SQLite with a write-ahead log, or Postgres
    runtime   starts, watches, signals, cancels and resumes runs
    ground    what a walk of a run stands on: its effects, waits and rests
    opening   opens the runtime on its database and joins the other nodes
    host      records outcomes under numbers reserved in definition order
    cluster   which nodes are alive, and whose runs are to be taken over

DBOS is one per process. Effects happen at least once and their results are recorded exactly once; `run_id/step_path`
goes downstream as the idempotency key.
"""
