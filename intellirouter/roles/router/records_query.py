"""The query string of `/admin/requests` and its neighbours, checked."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from math import isfinite
from typing import Any

from intellirouter.errors import InvalidRequest
from intellirouter.records.query import BY, EQUAL, MAX_PAGE, By, Query
from intellirouter.security.caller import Caller

DEFAULT_PAGE = 50
MAX_DAYS = 36_500
SEES_ALL = "admin:records:read"
"""The permission whose holders see the rows of every tenant; who lacks it sees its own tenant's."""
FILTERS = (
    *EQUAL,
    "tag",
    "status",
    "text",
    "tenant",
    "min_cost",
    "min_latency",
    "from",
    "to",
    "days",
    "models_only",
)
_AGO = re.compile(r"(\d{1,6})([smhd])")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def sees_all(caller: Caller) -> bool:
    """Whether the caller sees every tenant's rows."""
    return caller.may(SEES_ALL)


def query_of(given: Mapping[str, str], caller: Caller, more: tuple[str, ...] = ()) -> Query:
    """What is asked, by this caller. `more` are the parameters that are no filters. Raises `InvalidRequest` naming the parameter."""
    for name in given:
        if name not in FILTERS and name not in more:
            known = ", ".join((*FILTERS, *more))
            raise InvalidRequest(f"There is no parameter '{name[:60]}'. There are: {known}.", param=name[:60])
    facts: dict[str, Any] = {
        name: given[name] for name in (*EQUAL, "tag", "status", "text") if given.get(name)
    }
    for name in ("min_cost", "min_latency"):
        if given.get(name):
            facts[name] = _number(given[name], name)
    if given.get("days"):
        facts["since"] = time.time() - _days(given["days"]) * 86_400
    for name, field in (("from", "since"), ("to", "until")):
        if given.get(name):
            facts[field] = _moment(given[name], name)
    if given.get("models_only") in ("1", "true"):
        facts["asked_a_model"] = True
    facts["tenant"] = given.get("tenant") if sees_all(caller) else caller.tenant
    return Query(**facts)


def by_of(given: Mapping[str, str]) -> By:
    """What to group by. Raises `InvalidRequest`."""
    by = given.get("by", "model")
    for name in BY:
        if name == by:
            return name
    raise InvalidRequest(f"'by' is one of {', '.join(BY)}.", param="by")


def whole(given: Mapping[str, str], name: str, usual: int, least: int, most: int) -> int:
    """A whole number within bounds. Raises `InvalidRequest`."""
    text = given.get(name, "")
    if not text:
        return usual
    try:
        number = int(text)
    except ValueError as cause:
        raise InvalidRequest(f"'{name}' is a whole number.", param=name) from cause
    if not least <= number <= most:
        raise InvalidRequest(f"'{name}' is {least} to {most}.", param=name)
    return number


def page_size(given: Mapping[str, str]) -> int:
    """Rows of a page."""
    return whole(given, "limit", DEFAULT_PAGE, 1, MAX_PAGE)


def cursor(given: Mapping[str, str], name: str) -> int | None:
    """The id of a row. Raises `InvalidRequest`."""
    text = given.get(name, "")
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 20) or int(text) >= 1 << 63:
        raise InvalidRequest(f"'{name}' is what an answer called its cursor.", param=name)
    return int(text)


def _number(text: str, name: str) -> float:
    try:
        number = float(text)
    except ValueError as cause:
        raise InvalidRequest(f"'{name}' is a number.", param=name) from cause
    if not isfinite(number) or number < 0:
        raise InvalidRequest(f"'{name}' is a number, 0 or more.", param=name)
    return number


def _days(text: str) -> float:
    days = _number(text, "days")
    if not 0 < days <= MAX_DAYS:
        raise InvalidRequest(f"'days' is above 0 and at most {MAX_DAYS}.", param="days")
    return days


def _moment(text: str, name: str) -> float:
    """Unix seconds of a moment: themselves, `2026-11-20`, RFC 3339, or how long ago (`15m`, `2h`, `7d`)."""
    if (ago := _AGO.fullmatch(text)) is not None:
        return time.time() - int(ago[1]) * _UNITS[ago[2]]
    try:
        number = float(text)
    except ValueError:
        return _written(text, name)
    if not 0 <= number < 253_402_300_800:  # the end of the year 9999
        raise InvalidRequest(f"'{name}' is no moment in Unix seconds.", param=name)
    return number


def _written(text: str, name: str) -> float:
    try:
        # in a query string the + of a zone arrives as a blank
        when = datetime.fromisoformat(text.replace(" ", "+") if "T" in text else text)
    except ValueError as cause:
        raise InvalidRequest(
            f"'{name}' is a moment: 2026-11-20, 2026-11-20T14:00:00Z, Unix seconds, or how long ago (15m, 2h, 7d).",
            param=name,
        ) from cause
    return (when if when.tzinfo is not None else when.replace(tzinfo=UTC)).timestamp()
