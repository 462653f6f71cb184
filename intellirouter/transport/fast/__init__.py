"""A lean HTTP/1.1 client: what a gateway needs of one, and nothing per request that it does not.

`client` (send, retry a stale connection) → `pool` (keep-alive connections per origin) → `connection` (one socket: parser,
state, timer) → `reply` (the body, with back-pressure). `request` writes messages, `connect` opens sockets.

What makes it cheap: one future per request; one timer per connection, moved forward lazily rather than set and cancelled
by each phase; encoded headers kept by value; a body that arrived whole is read without suspending; requests of one turn of the
loop go out together.

Invariants: a connection serves one exchange at a time; it goes back to its pool when the response's last byte was parsed
with nothing after it and nothing of the request left unsent, and is cut in every other case.
"""
