"""Structured logs: a console in development, one JSON object a line in production.

Everything goes through the standard library's handlers, so that libraries' records come out in the same form, a
level can be set per logger, and a log file can be reopened after logrotate moved it.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from intellirouter.telemetry.ecs import ecs
from intellirouter.telemetry.flood import Flood
from intellirouter.telemetry.hiding import hide_secrets
from intellirouter.telemetry.log_file import LogFile
from intellirouter.telemetry.shipping.handler import Shipping, running
from intellirouter.telemetry.tracing.span import current

Ships = Callable[[Sequence[Processor]], Shipping]


def configure(
    *,
    level: str,
    levels: Mapping[str, str] | None = None,
    json: bool,
    file: Path | None = None,
    role: str = "",
    most_alike: int = 0,
) -> None:
    """Set up logging for this process. See `prepare`."""
    prepare(level=level, levels=levels, json=json, file=file, role=role, most_alike=most_alike)()


def prepare(
    *,
    level: str,
    levels: Mapping[str, str] | None = None,
    json: bool,
    file: Path | None = None,
    role: str = "",
    most_alike: int = 0,
    ecs_form: bool = False,
    ships: Ships | None = None,
    standard_error: bool = True,
) -> Callable[[], None]:
    """Open the log and change nothing yet: what is returned sets it up, in place of the last one. Raises `OSError`.

    `most_alike` bounds the lines a second of one event (`flood.py`); 0 does not. `ecs_form`: JSON of the Elastic Common Schema.
    `ships` makes what sends the lines elsewhere too. Without `standard_error` and without a file, only that has them.
    """
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _with_trace,
        hide_secrets,
    ]
    if role:
        shared.append(_with_role(role))
    renderer: list[Processor]
    if json:
        renderer = [structlog.processors.format_exc_info]
        renderer += [_as_ecs] if ecs_form else []
        renderer.append(structlog.processors.JSONRenderer())
    else:
        # the library's own way with exceptions prints local variables: keys and prompts among them
        renderer = [
            structlog.dev.ConsoleRenderer(
                colors=file is None and sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
            )
        ]
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer],
    )
    handlers: list[logging.Handler] = [LogFile(file)] if file else []
    if not file and standard_error:
        handlers = [logging.StreamHandler(sys.stderr)]
    for handler in handlers:
        handler.setFormatter(formatter)
    shipping = ships(shared) if ships else None
    return partial(_apply, handlers, shipping, shared, level, dict(levels or {}), most_alike)


def _apply(
    handlers: Sequence[logging.Handler],
    shipping: Shipping | None,
    shared: Sequence[Processor],
    level: str,
    levels: Mapping[str, str],
    most_alike: int,
) -> None:
    root = logging.getLogger()
    before = running()
    for old in root.handlers[:]:
        root.removeHandler(old)
        if old is not before:
            old.close()
    for handler in handlers:
        root.addHandler(handler)
    if before is not None and shipping is not None and before.goes_on_as(shipping):
        root.addHandler(before)
    else:
        if shipping is not None:
            root.addHandler(shipping)
            shipping.begin()
        if before is not None:
            before.retire()
    root.setLevel(level.upper())
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    # aiohttp logs a traceback for every malformed request a stranger sends; our own endpoints log their failures.
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
    # OpenTelemetry's exporter logs every try to send; ours says when the collector goes and comes.
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
    for name, wanted in levels.items():
        logging.getLogger(name).setLevel(wanted.upper())
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            *([Flood(most_alike)] if most_alike else []),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def _as_ecs(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:  # noqa: ARG001
    """In the Elastic Common Schema."""
    return ecs(event)


def _with_trace(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:  # noqa: ARG001
    """The trace and the span in which the line is said, where they are recorded."""
    span = current()
    if span is not None and "trace_id" not in event:
        event["trace_id"], event["span_id"] = span.trace_id, span.traceparent[36:52]
    return event


def _with_role(role: str) -> Processor:
    def add(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:  # noqa: ARG001
        event.setdefault("role", role)
        return event

    return add


def exception_facts(error: BaseException) -> dict[str, Any]:
    """What to log of an error: its class and message, and those of its cause, never a request's text."""
    facts: dict[str, Any] = {"error": type(error).__name__, "message": str(error)[:500]}
    if error.__cause__ is not None:
        facts["cause"] = f"{type(error.__cause__).__name__}: {str(error.__cause__)[:300]}"
    return facts
