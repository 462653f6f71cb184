"""Backup of a node into one file, and back.

`archive.py` is the file's format; `make.py` gathers what a node holds; `restore.py` puts it back. Held: the configuration
file (unless a secret stands in it), personas, documents, and the embedded state store. Not held yet, and said to be absent in
every manifest: Redis, the vector index, the run database.
"""
