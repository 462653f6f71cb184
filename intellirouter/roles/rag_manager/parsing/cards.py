"""Calendars (`.ics`, RFC 5545) and contacts (`.vcf`, RFC 6350), whose lines are folded and escaped: as lines that can be read and found."""

from __future__ import annotations

import quopri
import re

from intellirouter.roles.rag_manager.chunking import Block
from intellirouter.roles.rag_manager.parsing.charset import codec_of, decode

_FOLD = re.compile(r"\r?\n[ \t]")
_SOFT = re.compile(r"=\r?\n")
_ESCAPED = re.compile(r"\\([\\,;nN])")
_UNSAID = frozenset("PHOTO LOGO SOUND KEY ATTACH PRODID VERSION CALSCALE UID DTSTAMP SEQUENCE REV".split())
_HELD = frozenset(("VEVENT", "VTODO", "VJOURNAL", "VCARD"))
_ASIDE = frozenset(("VTIMEZONE", "VALARM"))
"""What has dates and repetitions of its own, which are none of an event's."""


def read(data: bytes, charset: str = "") -> tuple[str, list[Block]]:
    """The title, and a block for each event or contact."""
    text = decode(data, charset)
    if "QUOTED-PRINTABLE" in text[: 1 << 20].upper():
        text = _SOFT.sub("", text)
    blocks, held, aside = list[Block](), list[str](), ""
    for line in _FOLD.sub("", text).splitlines():
        name, _, value = _parted(line)
        if aside:
            aside = "" if name == "END" and value.upper() == aside else aside
        elif name == "BEGIN" and value.upper() in _ASIDE:
            aside = value.upper()
        elif name == "END" and value.upper() in _HELD:
            blocks.append(Block("\n".join(held)))
            held = []
        elif name and name not in ("BEGIN", "END") and name not in _UNSAID:
            held.append(f"{name}: {value}")
    if held and not blocks:
        blocks.append(Block("\n".join(held)))
    return "", blocks or [Block(text)]


def _parted(line: str) -> tuple[str, str, str]:
    """Name, parameters and value of a line."""
    head, colon, value = line, "", ""
    quoted = False
    for place, char in enumerate(line):
        quoted ^= char == '"'
        if char == ":" and not quoted:
            head, colon, value = line[:place], ":", line[place + 1 :]
            break
    name, _, said = head.partition(";")
    name = name.rpartition(".")[2].strip().upper()
    if not colon:
        return "", "", ""
    if "QUOTED-PRINTABLE" in said.upper():
        called = next((one[8:] for one in said.split(";") if one.upper().startswith("CHARSET=")), "utf-8")
        value = quopri.decodestring(value.encode()).decode(codec_of(called) or "utf-8", "replace")
    value = _ESCAPED.sub(lambda found: "\n" if found[1] in "nN" else found[1], value).strip("; ")
    zone = next((one[5:] for one in said.split(";") if one.upper().startswith("TZID=")), "")
    return name, said, f"{value} ({zone})" if zone else value
