"""State shared by requests, workers and nodes: values, counters, windows, leases, logs, events.

`store.py` is the protocol; `embedded/` (a SQLite file and process memory) and `redis/` (one node, Sentinel, Cluster)
implement it, and one conformance suite runs on both. `resilient.py` wraps Redis: while it is away, requests go on from
local state (`outage/`) and what was acknowledged meanwhile is merged on its return. `open.py` opens what `[memory]`
asks for.

Only `memory/redis/` imports redis.
"""
