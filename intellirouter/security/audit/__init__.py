"""Who did what: records that are only added to, each bound to the one before it.

`entry` is what a record says, `chain` what binds it, `journal` the files of one node (any of its processes appends, one at a time),
`auditor` what a running process notes its calls with, `shared` the copy that other nodes read, `verify` and `search` read them.

A record is a line of JSON with its number, the mac of the record before and its own: HMAC-SHA256 (RFC 2104), cut to 128 bits, over
the line without it. Who lacks the key can change, remove, add, swap or cut off nothing unseen; `head` and the shared store say where a
journal ends. Who has the key can: it belongs where the files are not (`[auth.audit] key`).
"""
