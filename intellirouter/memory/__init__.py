"""State shared by requests, workers and nodes: values, counters, windows, leases, logs, events.

`store.py` is the protocol; `embedded` (a SQLite file and process memory) and `redis` (one node, Sentinel, Cluster)
implement it, and one conformance suite runs on both. Only `memory/redis*.py` imports redis.
"""
