"""Lines in the form of Loki: `POST /loki/api/v1/push` with JSON, as its HTTP API documents it.

A stream's labels are few and have few values (service, role, level, host and what the configuration adds), since each combination is a
stream that Loki keeps open; ids go into the structured metadata, everything else into the line, which is the JSON of the log.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from intellirouter.telemetry.shipping.entry import Entry, Value
from intellirouter.telemetry.shipping.web import Poster

PATH = "/loki/api/v1/push"
MAX_LINE = 256 << 10
"""Bytes: what Loki takes by default (`max_line_size`)."""
_IDS = ("request_id", "chain_run", "session")
_encode = msgspec.json.Encoder().encode


class Loki:
    """A `Sender`. `labels` hold for every stream."""

    def __init__(
        self, url: str, labels: Mapping[str, str], headers: Mapping[str, str], secure: ssl.SSLContext | None
    ) -> None:
        where = url.rstrip("/")
        where = where if where.endswith("/push") else where + PATH
        self._poster = Poster(where, {**headers, "content-type": "application/json"}, secure, range(500, 600))
        self._labels = dict(labels)

    async def send(self, batch: Sequence[Entry]) -> None:
        """See `Sender`."""
        await self._poster.post(_encode(pushed(batch, self._labels)), len(batch))

    async def aclose(self) -> None:
        """See `Sender`."""
        await self._poster.aclose()


def pushed(batch: Sequence[Entry], labels: Mapping[str, str]) -> dict[str, Any]:
    """The body: streams by their labels, each with its lines in the order of time."""
    streams: dict[tuple[str, str], list[Entry]] = {}
    for entry in batch:
        streams.setdefault((entry.role, entry.level), []).append(entry)
    return {
        "streams": [
            {
                "stream": {**labels, **({"role": role} if role else {}), "level": level},
                "values": [_value(entry) for entry in sorted(entries, key=lambda one: one.time)],
            }
            for (role, level), entries in streams.items()
        ]
    }


def _value(entry: Entry) -> list[Any]:
    about = {"trace_id": entry.trace, "span_id": entry.span}
    about |= {name: str(entry.fields[name]) for name in _IDS if name in entry.fields}
    line = _line(entry, entry.event, entry.fields)
    if len(line) > MAX_LINE:
        line = _line(entry, entry.event[: MAX_LINE // 16], {"cut": True})
    return [str(entry.time), line.decode(), {name: value for name, value in about.items() if value}]


def _line(entry: Entry, event: str, fields: Mapping[str, Value]) -> bytes:
    stamp = datetime.fromtimestamp(entry.time / 1e9, UTC).isoformat(timespec="microseconds")
    head = {"timestamp": stamp, "level": entry.level, "event": event, "logger": entry.logger}
    if entry.role:
        head["role"] = entry.role
    if entry.trace:
        head["trace_id"] = entry.trace
    return _encode({**fields, **head})
