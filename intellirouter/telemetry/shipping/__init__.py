"""Log lines that leave the node as records rather than as text: to an OpenTelemetry collector, Loki, the journal, syslog.

One `Shipping` is the process's (`handler.py`), a handler of the root logger. Whoever logs pays for a copy of the line and a place in
a queue; a thread with a loop of its own makes the forms and sends them, so that a server that hangs holds nobody, and a node whose
loop stands still can say so. Each `Outlet` has a queue with a bound (`outlet.py`), drops the oldest when it is full, and counts it.
A sender (`otlp.py`, `loki.py`, `journald.py`, `syslog.py`) is one form and one way: it sends a batch before a deadline, or raises
`Away` (it will be tried again) or `Refused` (it will not). Nothing here is imported or started where nothing is to be sent.

Every text is cut, rid of control characters and of secrets before a sender sees it (`entry.py`).
"""
