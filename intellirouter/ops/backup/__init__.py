"""Backup of a node, and back.

`make.py` gathers what a node holds; `archive.py` is one file of it, `repository.py` a directory of snapshots that share their pieces
(`snapshot.py`, `packs.py`, `index.py`, `pieces.py`; `recall.py` reads them), `forms.py` tells the two apart. `restore.py` puts a backup
back, `journal.py` undoes a restore that was killed; `outside.py` reads and writes the stores that are servers. What is not held is
named in every manifest.
"""
