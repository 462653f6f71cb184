"""Bytes to and from an upstream: connections, deadlines, content codings. Knows nothing of models or JSON.

`contract.py` says what a transport is; every implementation passes the same conformance suite.
"""
