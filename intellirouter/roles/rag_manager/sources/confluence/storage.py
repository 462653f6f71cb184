"""Confluence's storage format as HTML that the reader of pages knows. Pure; it goes through the text once, whatever is in it.

The format is XHTML with macros in tags of its own (`ac:`, `ri:`). What a macro says is kept, code as code, what it is told is not; links
and pictures keep their words.
"""

from __future__ import annotations

import html
from collections.abc import Iterator

_BEGIN, _END = "<![CDATA[", "]]>"
_CODE = "ac:plain-text-body"
_LEFT_OUT = ("ac:parameter", "ac:task-id", "ac:task-uuid", "ac:task-status", "ac:placeholder")
_LONGEST_TAG = 4_000


def as_page(title: str, body: str) -> str:
    """A page of HTML."""
    return f"<!doctype html><html><head><title>{html.escape(title)}</title></head><body><main>{''.join(_parts(body))}</main></body></html>"


def _parts(body: str) -> Iterator[str]:
    place, ahead = 0, -1
    unclosed: set[str] = set()  # what is not closed any more need not be looked for again
    while place < len(body):
        start = body.find("<", place)
        if start < 0:
            yield body[place:]
            return
        yield body[place:start]
        if body.startswith(_BEGIN, start):
            end = body.find(_END, start)
            end = len(body) if end < 0 else end
            yield html.escape(body[start + len(_BEGIN) : end])
            place = end + len(_END)
            continue
        if ahead < start:
            ahead = body.find(">", start)
            ahead = len(body) + _LONGEST_TAG if ahead < 0 else ahead
        end = ahead
        if end - start > _LONGEST_TAG:  # no tag
            yield "&lt;"
            place = start + 1
            continue
        tag = body[start : end + 1]
        place = end + 1
        name = tag.strip("</> ").split(None, 1)[0].lower() if tag.strip("</> ") else ""
        if name in _LEFT_OUT:
            if tag.startswith("</") or tag.endswith("/>") or name in unclosed:
                continue
            closing = body.find(f"</{name}>", place)
            if closing < 0:
                unclosed.add(name)
            else:
                place = closing + len(name) + 3
        elif name == _CODE:
            yield "</pre>" if tag.startswith("</") else "<pre>"
        elif name == "ac:task":
            yield "<p>"
        elif not name.startswith(("ac:", "ri:")):
            yield tag
