"""A log line as it is shipped: its parts, each within bounds, and nothing in them that a reader's terminal or parser would obey."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import msgspec

from intellirouter.config.redact import SECRET_NAME
from intellirouter.config.shown import MASK

Value = str | int | float | bool
MAX_TEXT = 64_000
"""Characters of an event and of a traceback; what is more is cut, and the line says so."""
MARGIN = 4_096
"""Characters past a bound that are looked through too: of a secret cut in two nobody would know the first half."""
MAX_FIELD = 8_000
MAX_FIELDS = 100
MAX_SIZE = 200_000
"""Characters of all fields together."""
MAX_NAME = 100
_CUT = "… (cut)"
_LONG = frozenset({"exception", "stack"})
_OWN = frozenset({"event", "level", "logger", "timestamp", "role", "trace_id", "span_id"})
_TRACE = re.compile(r"[0-9a-f]{32}").fullmatch
_SPAN = re.compile(r"[0-9a-f]{16}").fullmatch
_ODD = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters but for the tab and the line feed, what turns the direction of writing, and halves of a pair that are no text."""
_encode = msgspec.json.Encoder(enc_hook=str).encode


@dataclass(slots=True)
class Entry:
    """`time` is nanoseconds since 1970. `trace` and `span` are hexadecimal digits or empty. `size` is about what it takes in bytes.

    `ready` is the same, `cleaned`, once the first outlet needed it.
    """

    time: int
    level: str
    event: str
    logger: str
    role: str
    trace: str
    span: str
    fields: Mapping[str, Value]
    size: int = 0
    ready: Entry | None = None


def entry_of(event: Mapping[str, object], time: int) -> Entry:
    """The line of an event of structlog, cut to its bounds and a `MARGIN`. Cheap: it runs where the line is logged."""
    fields: dict[str, Value] = {}
    text = _cut(str(event.get("event", "")), MAX_TEXT)
    size = len(text)
    for name, value in event.items():
        if name in _OWN or value is None or name.startswith("_"):
            continue
        if len(fields) >= MAX_FIELDS or size > MAX_SIZE:
            fields["fields_left_out"] = True
            break
        kept = _plain(value, _most(name))
        fields[name[:MAX_NAME]] = kept
        size += len(name) + (len(kept) if isinstance(kept, str) else 8)
    trace, span = str(event.get("trace_id", "")), str(event.get("span_id", ""))
    return Entry(
        time,
        str(event.get("level", "info")),
        text,
        str(event.get("logger", ""))[:MAX_FIELD],
        str(event.get("role", ""))[:MAX_NAME],
        trace if _TRACE(trace) else "",
        span if _SPAN(span) else "",
        fields,
        size + 200,
    )


def cleaned(entry: Entry, redact: Callable[[str], str]) -> Entry:
    """The same within its bounds, without secrets and characters that do something. Takes its time: it runs in the thread that sends."""
    fields: dict[str, Value] = {}
    past: dict[str, int] = {}
    for given, value in entry.fields.items():
        name = visible(given)
        if isinstance(value, str):
            if SECRET_NAME.search(given):
                value = MASK
            elif len(value) > _most(given):
                past[name] = len(value) - _most(given)
            value = visible(value)
        fields[name] = value
    plain = replace(entry, event=visible(entry.event), logger=visible(entry.logger), fields=fields)
    whole = "\n".join(_texts(plain))
    if redact(whole) != whole:  # one look for all: most lines hold nothing
        plain.event = redact(plain.event)
        for name, value in fields.items():
            if isinstance(value, str):
                fields[name] = redact(value)
    # only now: the end of a text that was cut may be the first half of a secret
    plain.event = _without_end(plain.event, len(entry.event) - MAX_TEXT)
    for name, end in past.items():
        fields[name] = _without_end(str(fields[name]), end)
    return plain


def visible(text: str) -> str:
    r"""Text in which what is no text is written out, as in \x1b; it keeps its line feeds and tabs, and can be encoded."""
    return text if text.isprintable() else _ODD.sub(_written, text)


def on_one_line(text: str) -> str:
    r"""Text without a line feed or tab: \n and \t stand for them."""
    return text.replace("\n", "\\n").replace("\t", "\\t")


def told(entry: Entry) -> str:
    """The line as people read it: the event, and its fields as `name=value`; a traceback on lines of its own."""
    words = [entry.event]
    for name, value in entry.fields.items():
        if name not in _LONG:
            words.append(f"{name}={_quoted(value)}")
    words = [" ".join(words), *(str(value) for name, value in entry.fields.items() if name in _LONG)]
    return "\n".join(words)


def _texts(entry: Entry) -> Iterator[str]:
    yield entry.event
    for value in entry.fields.values():
        if isinstance(value, str):
            yield value


def _quoted(value: Value) -> str:
    if not isinstance(value, str):
        return str(value).lower() if isinstance(value, bool) else str(value)
    if value and value.isprintable() and not set(value) & set(' "=\\'):
        return value
    return _encode(value).decode()


def _written(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"


def _plain(value: object, most: int) -> Value:
    if isinstance(value, (bool, float)):
        return value
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**63 else str(value)[:MAX_FIELD]
    if isinstance(value, str):
        return _cut(value, most)
    try:
        text = _encode(value).decode()
    except (TypeError, ValueError, RecursionError):
        text = str(value)
    return _cut(text, most)


def _most(name: str) -> int:
    return MAX_TEXT if name in _LONG else MAX_FIELD


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most + MARGIN]


def _without_end(text: str, end: int) -> str:
    return text if end <= 0 else text[:-end] + _CUT
