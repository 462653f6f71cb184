"""The hosts of a run: `in_process` keeps nothing, `durable` records every outcome on DBOS (the only door to it)."""
