"""The canonical chat request, response and deltas, and one package per wire format that translates them.

`model.py`, `response.py` and `delta.py` hold what a conversation *is*, whoever speaks; every wire format
(`openai_chat/`, `anthropic_messages/`, …) translates both directions: a front decodes requests and encodes
responses, an adapter encodes requests and decodes responses, with the same four files.

Invariants: nothing here does I/O; every type is frozen; what a format cannot say is either kept under
`extra` (for the same dialect), approximated with a note, or refused with `UnsupportedByTarget`, never dropped
in silence.
"""
