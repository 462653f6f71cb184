"""A line as a syslog message of RFC 5424, with its fields as structured data."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from intellirouter.telemetry.shipping.entry import Entry, Value, on_one_line, told
from intellirouter.telemetry.shipping.journald import PRIORITIES

FACILITIES: Mapping[str, int] = {
    name: number
    for number, name in enumerate(
        ("kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp")
    )
} | {f"local{number}": 16 + number for number in range(8)}
"""RFC 5424, 6.2.1."""
MAX_SHARE = 2
"""Of a message that is too long, the structured data has one part of so many at most."""
_BOM = b"\xef\xbb\xbf"
_MSGID = re.compile(r"[!-~]{1,32}").fullmatch
_UNPRINTABLE = re.compile(r"[^!-~]+")
_NOT_A_NAME = re.compile(r'[^!-~]|[="\]]')
_ESCAPED = re.compile(r'[\\"\]]')


@dataclass(frozen=True, slots=True)
class Sender:
    """What every message of this process says of where it comes from. `max_bytes` bounds a message."""

    facility: int
    hostname: str
    identifier: str
    process: int
    sd_id: str
    version: str
    max_bytes: int


def message(entry: Entry, sender: Sender) -> bytes:
    """The message, without a frame. One line: a line feed in it is written as two characters."""
    text = on_one_line(told(entry))
    end = _text(text)
    head = _head(entry, sender)
    room = sender.max_bytes - len(head) - 1
    data = _structured(entry, sender, max(room - len(end) - 1, room // MAX_SHARE))
    return _cut(head + b" " + data + b" " + end, sender.max_bytes)


def _head(entry: Entry, sender: Sender) -> bytes:
    priority = sender.facility * 8 + PRIORITIES.get(entry.level, 6)
    stamp = datetime.fromtimestamp(entry.time // 10**9, UTC).replace(microsecond=entry.time % 10**9 // 1000)
    name = f"{sender.identifier}-{entry.role.lower()}" if entry.role else sender.identifier
    parts = (
        f"<{priority}>1",
        stamp.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        printable(sender.hostname, 255),
        printable(name, 48),
        str(sender.process),
        entry.event if _MSGID(entry.event) else "-",
    )
    return " ".join(parts).encode()


def _structured(entry: Entry, sender: Sender, room: int) -> bytes:
    """As many fields as there is room for, whole ones."""
    origin = f'[origin software="intellirouter" swVersion="{escaped(sender.version)}"]'.encode()
    parts = [f"[{sender.sd_id}".encode()]
    left = room - len(origin) - len(parts[0]) - 1
    for name, value in _named(entry):
        one = f' {name}="{escaped(on_one_line(str(value)))}"'.encode()
        if len(one) <= left:
            parts.append(one)
            left -= len(one)
    return origin + (b"".join(parts) + b"]" if len(parts) > 1 else b"")


def _named(entry: Entry) -> Iterator[tuple[str, Value]]:
    seen = set()
    known: dict[str, Value] = {"logger": entry.logger, "trace_id": entry.trace, "span_id": entry.span}
    for given, value in ({**known, **entry.fields}).items():
        name = _NOT_A_NAME.sub("_", given)[:32]
        if name and value != "" and name not in seen:
            seen.add(name)
            yield name, value


def escaped(value: str) -> str:
    """The value of a parameter: a backslash before each of `"`, `\\` and `]` (6.3.3)."""
    return _ESCAPED.sub(r"\\\g<0>", value)


def printable(text: str, most: int) -> str:
    """A field of the header: printable ASCII without a space, `-` where nothing is left."""
    return _UNPRINTABLE.sub("_", text)[:most] or "-"


def _text(text: str) -> bytes:
    """MSG: what is not ASCII alone begins with the mark of UTF-8 (6.4)."""
    return text.encode() if text.isascii() else _BOM + text.encode()


def _cut(whole: bytes, most: int) -> bytes:
    """At most so many bytes, and no half of a character."""
    return whole if len(whole) <= most else whole[:most].decode("utf-8", "ignore").encode()
