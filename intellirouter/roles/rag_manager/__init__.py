"""The RagManager: documents in, cited context out.

The catalogue (SQLite with FTS5) is the source of truth: collections, documents, chunks with their text, jobs. The vector
index holds vectors by chunk id and nothing else, and can be rebuilt from the catalogue. `service.py` is the whole as one
object; `parsing/` runs in a process of its own, because a document is hostile until it is text.
"""
