"""Header reading and writing that every adapter shares."""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import parsedate_to_datetime

from intellirouter import __version__
from intellirouter.providers.adapter import Target

USER_AGENT = f"intellirouter/{__version__}"
Headers = tuple[tuple[str, str], ...]


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds the vendor asks us to wait, or None.

    `retry-after-ms` is OpenAI's; `retry-after` holds seconds or an HTTP date (RFC 9110, 10.2.3), which is read
    against the response's own `date`, so that no clock of ours matters.
    """
    if (milliseconds := _number(headers.get("retry-after-ms"))) is not None:
        return milliseconds / 1000
    value = headers.get("retry-after")
    if value is None or (seconds := _number(value)) is not None:
        return None if value is None else seconds
    try:
        then, now = parsedate_to_datetime(value), parsedate_to_datetime(headers.get("date", ""))
        return max(0.0, (then - now).total_seconds())
    except (
        ValueError,
        TypeError,
        OverflowError,
    ):  # not a date, one in no year, or one with a zone and one without
        return None


def _number(value: str | None) -> float | None:
    try:
        number = float(value) if value is not None else None
    except ValueError:
        return None
    return number if number is not None and 0 <= number < 1e9 else None


def bearer(target: Target, accept: str = "application/json") -> Headers:
    """Headers of a JSON request with a bearer token, the operator's own headers last."""
    written: Headers | None = target.written.get(accept)
    if written is None:
        headers = [("content-type", "application/json"), ("accept", accept), ("user-agent", USER_AGENT)]
        if target.api_key is not None:
            headers.append(("authorization", f"Bearer {target.api_key.get_secret_value()}"))
        written = target.written[accept] = (*headers, *target.headers.items())
    return written
