"""Guards: what must not go in, come out, or be believed. Pure functions over texts; nothing here does I/O.

`detectors/` find things in one text and say where; `table.py` lists their kinds; `gates.py` says in one pass which of them need
look at a text at all; `reading.py` is a text that several guards look at, `escapes.py` what stands behind its escapes; `guard.py`
is one configured guard; `places.py` knows every text of a request and an answer; `placeholders.py` has what a model is shown in
place of what was found, and gives it back; `keeping.py` masks for good what is kept; `joining.py` finds what only several texts
hold together; `incoming.py` and `outgoing.py` mask a
request and give an answer back what is its own; `ending.py` cuts an answer and says what follows it; `stream.py` does both to a text that comes in pieces, holding back no more than
could still become something.

A finding is a kind and a place, never the text. All work is linear in the text.
"""
