"""The record in a file of SQLite: `requests.db` beside the node's other stores, shared by its roles and workers.

`schema.py` is the tables, `store.py` writing and keeping house, `asking.py` questions.
"""
