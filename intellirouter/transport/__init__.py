"""Bytes to and from an upstream: connections, deadlines, content codings. Knows nothing of models or JSON.

`contract.py` says what a transport is. `fast/` is the default: a lean HTTP/1.1 client on httptools, about a fifth of the
CPU time per request of `aiohttp_client.py`, which stays selectable (`[router] transport`). Both pass the one conformance
suite and a differential fuzz. Neither speaks HTTP/2 nor goes through a proxy, and neither reads proxy settings from the
environment.
"""
