"""Guards: what must not go in, come out, or be believed. Pure functions over texts; nothing here does I/O.

`detectors/` find things in one text and say where; `table.py` lists their kinds; `gates.py` says in one pass which of them need
look at a text at all; `reading.py` is a text that
several guards look at; `guard.py` is one configured guard;
`places.py` knows every text of a request and an answer; `masking.py` puts placeholders in their place and gives the caller back
what stood there; `stream.py` does both to a text that comes in pieces, holding back no more than could still become something.

A finding is a kind and a place, never the text. All work is linear in the text.
"""
