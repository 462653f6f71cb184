"""The backend without a server: one SQLite file in the data directory, or process memory when there is no file.

Several worker processes of a node may open the same file (WAL). `engine.py` is the one thread that talks to SQLite and
commits what has gathered together (group commit); `tables.py` is the schema; `values.py`, `counters.py`, `logs.py` and
`leases.py` are the operations, each a function of a connection; `store.py` offers them as a `StateStore`.

An acknowledged write survives a crash of the process. With `synchronous = NORMAL` SQLite does not wait for the disk
at every commit, so a power failure may take the last moments; it never corrupts the file.
"""
