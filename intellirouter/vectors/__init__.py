"""Vector indexes: one protocol (`index.py`), Chroma embedded and over HTTP, several as one (`sharded.py`).

An index holds vectors by chunk id and nothing else. Only `vectors/chroma` imports chromadb, and only in its child process.
"""
