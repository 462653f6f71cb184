"""The process's handler for lines that leave it, and the thread that sends them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import structlog
from structlog.typing import Processor

from intellirouter.config.redact import Redactor
from intellirouter.counts import counted
from intellirouter.telemetry.shipping.entry import Entry, cleaned, entry_of
from intellirouter.telemetry.shipping.lookups import Lookups
from intellirouter.telemetry.shipping.outlet import Outlet, Sender

FLUSH_SECONDS = 3.0
"""At the end of the process, for what still waits."""


LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


class Way(NamedTuple):
    """How one outlet is made. The sender opens nothing before it sends."""

    name: str
    make: Callable[[], Sender]
    level: int
    linger: float


class Shipping(logging.Handler):
    """`spec` is what it was made from: a reload that changes nothing of it keeps the queues and connections.

    `chain` are the processors for lines that do not come from structlog. Begins to send with `begin`.
    """

    def __init__(
        self, spec: object, ways: Sequence[Way], chain: Sequence[Processor], secrets: Sequence[str]
    ) -> None:
        super().__init__()
        self.spec = spec
        self._chain = tuple(chain)
        self._redactor = Redactor(secrets)
        self._pid = os.getpid()
        self.outlets = tuple(
            Outlet(way.name, way.make(), self._clean, level=way.level, linger=way.linger) for way in ways
        )
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, name="log-shipping", daemon=True)
        self._begun = threading.Event()

    def begin(self) -> None:
        """Start to send."""
        self._thread.start()

    def goes_on_as(self, other: Shipping) -> bool:
        """Whether this one, which runs, does what `other` would; it then takes over what differs."""
        if self.spec != other.spec or self._pid != os.getpid() or not self._thread.is_alive():
            return False
        self._chain, self._redactor = other._chain, other._redactor
        return True

    def handle(self, record: logging.LogRecord) -> bool:
        """Without the lock of a handler: the queues have their own, and the end of the process holds it while it waits."""
        if passes := self.filter(record):
            self.emit(record)
        return bool(passes)

    def emit(self, record: logging.LogRecord) -> None:
        """Queue the line."""
        try:
            self._offer(entry_of(self._event(record), time.time_ns()), record.levelno)
        except Exception:  # noqa: BLE001  a line that cannot be told must not fail what is logged about
            self.handleError(record)

    def take(self, lines: Sequence[tuple[float, Mapping[str, Any]]], head: Mapping[str, Any]) -> None:
        """Queue lines of requests, each with its second; `head` holds for all."""
        for when, fields in lines:
            self._offer(entry_of({**fields, **head}, int(when * 1e9)), logging.INFO)

    def retire(self) -> None:
        """Stop when what waits has been sent, within `FLUSH_SECONDS`; nobody waits for it."""
        if self._thread.is_alive() and self._pid == os.getpid():
            threading.Thread(target=self.close, name="log-shipping-end", daemon=True).start()

    def close(self) -> None:
        """Send what waits, within `FLUSH_SECONDS`. Blocks; again it does nothing."""
        super().close()
        if self._pid != os.getpid() or not self._thread.is_alive():
            return
        deadline = time.monotonic() + FLUSH_SECONDS
        self._begun.wait(FLUSH_SECONDS)
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # it has ended by itself
                self._loop.call_soon_threadsafe(self._end)
        self._thread.join(max(0.0, deadline + 0.5 - time.monotonic()))
        for outlet in self.outlets:
            if left := outlet.drop_rest():
                sys.stderr.write(
                    f"log: the last {counted(left, 'line')} could not be sent to {outlet.name}\n"
                )

    def _offer(self, entry: Entry, level: int) -> None:
        for outlet in self.outlets:
            if level >= outlet.level:
                outlet.offer(entry)

    def _clean(self, entry: Entry) -> Entry:
        if entry.ready is None:  # by the first outlet; all of them are in one thread
            entry.ready = cleaned(entry, self._redactor)
        return entry.ready

    def _event(self, record: logging.LogRecord) -> Mapping[str, Any]:
        event: Any
        if isinstance(record.msg, dict) and hasattr(record, "_logger"):
            event = dict(record.msg)
        else:
            event = {"event": record.getMessage(), "_record": record}
            if record.exc_info:
                event["exc_info"] = record.exc_info
            for step in self._chain:
                event = step(None, record.levelname.lower(), event)
        return structlog.processors.format_exc_info(None, "", event)

    def _run(self) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            asyncio.run(self._sending())

    async def _sending(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop.set_default_executor(Lookups())
        self._stop = asyncio.Event()
        self._begun.set()
        tasks = [asyncio.create_task(self._kept_up(outlet)) for outlet in self.outlets]
        await self._stop.wait()
        for outlet in self.outlets:
            outlet.end()
        _, late = await asyncio.wait(tasks, timeout=FLUSH_SECONDS)
        for task in late:
            task.cancel()
        await asyncio.wait(tasks, timeout=0.3)

    async def _kept_up(self, outlet: Outlet) -> None:
        """What goes wrong with one outlet is said, and ends no other."""
        while not self._stop.is_set():
            try:
                await outlet.run()
            except Exception as error:  # noqa: BLE001
                sys.stderr.write(f"log: sending to {outlet.name} failed: {type(error).__name__}: {error}\n")
                await asyncio.sleep(1.0)

    def _end(self) -> None:
        self._stop.set()


def running() -> Shipping | None:
    """That of this process, if any."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, Shipping):
            return handler
    return None


def finish() -> None:
    """The last lines leave before the interpreter ends its threads."""
    if (shipping := running()) is not None:
        logging.getLogger().removeHandler(shipping)
        shipping.close()
