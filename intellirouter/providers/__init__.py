"""Provider dialects: one file each, pure functions only.

An adapter turns a canonical request into an HTTP request for one vendor, and the vendor's bytes back into canonical
answers, deltas and errors. Nothing here does I/O, sleeps, retries or reads a clock. Wire formats themselves live in
`chat/`; an adapter adds the endpoint, the credentials, the vendor's error bodies and its quirks.

To add a provider: one file here, one line in `table.py`, one folder of recorded cases in `tests/cases/`.
"""
