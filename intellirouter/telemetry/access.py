"""The access log: one line a request, off the request's path.

A line is noted as a small record; records are rendered and written together a few times a second. In JSON mode they are
encoded here directly, in the form of every other log line, at a tenth of the cost of the general machinery.
"""

from __future__ import annotations

import asyncio
import logging
import logging.handlers
import time
from datetime import UTC, datetime
from typing import Any

import msgspec
import structlog

from intellirouter.telemetry.ecs import ecs
from intellirouter.telemetry.flood import ACCESS
from intellirouter.telemetry.shipping.handler import running

FLUSH_SECONDS = 0.2
MAX_HELD = 2_000
"""Records held before they are written at once, whatever the clock says."""

_NAME = ACCESS
_encode = msgspec.json.Encoder(enc_hook=str).encode


class AccessLog:
    """Notes requests; writes them in batches. One per process."""

    def __init__(self, *, enabled: bool, json: bool, most: int = 0, ecs_form: bool = False) -> None:
        self.enabled = enabled
        self._most = most
        self._json = json
        self._ecs = ecs_form
        self._held: list[tuple[float, dict[str, Any]]] = []
        self._timer: asyncio.TimerHandle | None = None

    def note(self, fields: dict[str, Any]) -> None:
        """Take one request's facts."""
        self._held.append((time.time(), fields))
        if len(self._held) >= MAX_HELD:
            self.flush()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(FLUSH_SECONDS, self.flush)

    def flush(self) -> None:
        """Write what is held."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        held, self._held = self._held, []
        if not held or not logging.getLogger(_NAME).isEnabledFor(logging.INFO):
            return
        if self._most:
            held = sampled(held, max(1, round(self._most * FLUSH_SECONDS)))
        if self._json:
            if (shipping := running()) is not None:
                shipping.take(held, {"event": "request", "level": "info", "logger": _NAME})
            _write("".join([_line(when, fields, ecs_form=self._ecs) for when, fields in held]))
            return
        log = structlog.get_logger(_NAME)
        for _, fields in held:
            log.info("request", **fields)


Held = list[tuple[float, dict[str, Any]]]


def sampled(held: Held, most: int) -> Held:
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
