"""The record of requests: one row a request of every role, written off the path, read by people.

`row.py` is the row; `intake.py` takes what a request leaves behind, and `recorder.py` hands it, in batches and from a thread of its
own, to a store, which may hold it until there is time for rows (`held.py`, `whole.py`). `store.py` is what a store must do, `sqlite/`
and `postgres/` the two there are, and one conformance suite runs against both. `query.py` is what can be asked, `redaction.py` what is
never kept.

Invariants: noting a request never waits, never raises and is bounded in rows and bytes; a store that is slow, full or away costs
rows, which are counted, and never a request. Every row names its tenant, and every question says whose rows it may see.
The room stands on the floor of memory: it knows no inference and no web, so whoever notes a request brings the function that
makes its row, and that function runs in the writer's thread.
"""
