"""Backup of a node into one file, and back.

`archive.py` is the file's format; `make.py` gathers what a node holds; `restore.py` puts it back, `journal.py` undoes a restore
that was killed; `outside.py` reads and writes the stores that are servers. What is not held is named in every manifest.
"""
