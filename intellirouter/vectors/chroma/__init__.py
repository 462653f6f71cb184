"""Chroma: `embedded.py` talks to a child process (`child.py`) that owns a directory, `server.py` to a Chroma server.

A write into an embedded Chroma holds the interpreter's lock for up to a second, and two processes on one directory lose
data without a word: hence the child and its lock.
"""
