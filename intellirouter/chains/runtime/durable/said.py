"""What dbos logs by itself: an error of its own is said, and a run that somebody cancelled is none."""

from __future__ import annotations

import logging

from dbos import error as dbos_error

_EXPECTED = (dbos_error.DBOSWorkflowCancelledError, dbos_error.DBOSAwaitedWorkflowCancelledError)
_logger = logging.getLogger("dbos")


def only_errors() -> None:
    """While runs are walked."""
    _logger.addFilter(_is_error)


def nothing_more() -> None:
    """While the node ends: what is said of runs that this cuts off is expected, they are taken up again."""
    _logger.setLevel(logging.CRITICAL)


def _is_error(record: logging.LogRecord) -> bool:
    error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
    return not isinstance(error, _EXPECTED)
