"""The backend that ties nodes together: Redis as one node, behind Sentinel, or as a Cluster.

`connect.py` opens the client that `[memory]` describes; `scripts.py` holds the Lua that makes each operation atomic;
`keys.py` says where things lie and which lie together; `store.py` offers them as a `StateStore`; `events.py` is pub/sub;
`switches.py` hears of another master, and `waits.py` gives up what the old one was asked.

Every failure to answer is `StateUnavailable`, at once or after `[memory] timeout`; nothing here retries, because
whether a write that was not answered took place is not known. `memory/resilient.py` decides what happens then.
"""
