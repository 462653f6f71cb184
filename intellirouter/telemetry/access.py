"""The access log: one line a request, off the request's path.

A line is noted as a small record, or as what the record of requests keeps anyway, which tells the same; lines are written together a few
times a second. In JSON mode they are encoded here directly, for `TOGETHER` requests at a time, in the form of every other log line: at
a tenth of the cost of the general machinery, and while little is held.
"""

from __future__ import annotations

import asyncio
import logging
import logging.handlers
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Protocol

import msgspec
import structlog

from intellirouter.telemetry.ecs import ecs
from intellirouter.telemetry.flood import ACCESS
from intellirouter.telemetry.shipping.handler import running

FLUSH_SECONDS = 0.2
MAX_HELD = 2_000
"""Lines held before they are written at once, whatever the clock says."""
TOGETHER = 64
"""Lines that are encoded together: all that takes is in the processor's cache but for the first, and what they are of is let go."""

_NAME = ACCESS
_encode = msgspec.json.Encoder(enc_hook=str).encode

Record = tuple[float, dict[str, Any]]
"""When a request ended (`time.time()`), and its facts."""


class Ended(Protocol):
    """A request that ended, and can tell its facts later."""

    @property
    def ended(self) -> float:
        """`time.time()` then."""

    def facts(self) -> dict[str, Any]:
        """A new one for each that asks."""


class AccessLog:
    """Notes requests; writes them in batches. One per process."""

    def __init__(self, *, enabled: bool, json: bool, most: int = 0, ecs_form: bool = False) -> None:
        self.enabled = enabled
        self._most = most
        self._json = json
        self._ecs = ecs_form
        self._held: list[Record | Ended] = []
        self._lines: list[str] = []
        self._timer: asyncio.TimerHandle | None = None

    def note(self, fields: dict[str, Any]) -> None:
        """Take one request's facts."""
        self.take((time.time(), fields))

    def take(self, one: Record | Ended) -> None:
        """The same, as a record or as one who tells it later."""
        self._held.append(one)
        if len(self._held) >= TOGETHER:
            self._encode_held()
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(FLUSH_SECONDS, self.flush)

    def _encode_held(self) -> None:
        """Where lines are all that is made of it; what is sampled or shipped stays as it is until it is written."""
        if self._json and not self._most and running() is None:
            held, self._held = self._held, []
            self._lines += self._lines_of(map(_record, held))
        if len(self._held) + len(self._lines) >= MAX_HELD:
            self.flush()

    def _lines_of(self, records: Iterable[Record]) -> list[str]:
        return [_line(when, facts, ecs_form=self._ecs) for when, facts in records]

    def flush(self) -> None:
        """Write what is held."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        held, lines = [_record(one) for one in self._held], self._lines
        self._held, self._lines = [], []
        if not (held or lines) or not logging.getLogger(_NAME).isEnabledFor(logging.INFO):
            return
        if self._most:
            held = sampled(held, max(1, round(self._most * FLUSH_SECONDS)))
        if self._json:
            if (shipping := running()) is not None:
                shipping.take(held, {"event": "request", "level": "info", "logger": _NAME})
            _write("".join(lines + self._lines_of(held)))
            return
        log = structlog.get_logger(_NAME)
        for _, fields in held:
            log.info("request", **fields)


def _record(one: Record | Ended) -> Record:
    return one if isinstance(one, tuple) else (one.ended, one.facts())


def sampled(held: list[Record], most: int) -> list[Record]:
    """About `most` of the records, evenly, each with the number it stands for (`sampled`); those of failures all."""
    plain = [record for record in held if record[1]["status"] < 500]
    if len(held) <= most or not plain:
        return held
    room = max(1, most - (len(held) - len(plain)))
    every = -(-len(plain) // room)
    kept = {id(record): min(every, len(plain) - at) for at, record in enumerate(plain) if at % every == 0}
    return [
        (record[0], {**record[1], "sampled": kept[id(record)]}) if id(record) in kept else record
        for record in held
        if id(record) in kept or record[1]["status"] >= 500
    ]


def _line(when: float, fields: dict[str, Any], *, ecs_form: bool) -> str:
    stamp = datetime.fromtimestamp(when, UTC)  # written as RFC 3339
    head = {"event": "request", "level": "info", "logger": _NAME, "timestamp": stamp}
    line = {**fields, **head}
    return _encode(ecs(line) if ecs_form else line).decode() + "\n"


def _write(text: str) -> None:
    """To wherever the root logger writes, a file moved by logrotate reopened first."""
    for handler in logging.getLogger().handlers:
        if not isinstance(handler, logging.StreamHandler):
            continue
        handler.acquire()
        try:
            if isinstance(handler, logging.handlers.WatchedFileHandler):
                handler.reopenIfNeeded()
            handler.stream.write(text)
            handler.flush()
        except OSError as error:  # a full disk must not fail requests; the handler's own way of saying so
            handler.handleError(logging.makeLogRecord({"msg": f"the access log cannot be written: {error}"}))
        finally:
            handler.release()
