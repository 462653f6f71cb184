"""The record in Postgres, shared by many nodes. Only here is psycopg imported, and only where `[records] database_url` is set.

The table is partitioned by the day a request ended, so that what is too old is dropped and not deleted. `schema.py` is the tables,
`store.py` writing and keeping house, `asking.py` questions.
"""
