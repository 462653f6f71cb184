"""A bucket of an S3 service, by obstore (the extra `s3`): how it is opened, and what its errors say."""

from __future__ import annotations

import errno
import importlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from intellirouter.errors import InvalidRequest, StateUnavailable

REQUEST_SECONDS, RETRY_SECONDS, RETRIES = 300, 600, 8
BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_SAID = re.compile(r"<Code>(.*?)</Code>.*?<Message>(.*?)</Message>", re.DOTALL)


def opened(
    address: str,
    bucket: str,
    prefix: str,
    *,
    allow_http: bool,
    retries: int | None = None,
    retry_seconds: float = RETRY_SECONDS,
    **config: str,
) -> Any:
    """An obstore `S3Store`; nothing is asked yet. What `config` leaves out is taken from the environment (`AWS_…`).

    `address` is what messages call it. Raises `InvalidRequest` where the package is missing, `StateUnavailable`.
    """
    try:
        stores = importlib.import_module("obstore.store")
    except ModuleNotFoundError as cause:
        raise InvalidRequest(
            f"{address}: a bucket needs another package: pip install 'intellirouter[s3]'"
        ) from cause
    with errors(address):
        return stores.S3Store(
            bucket,
            prefix=prefix.strip("/") or None,
            client_options={"allow_http": allow_http, "timeout": f"{REQUEST_SECONDS}s"},
            retry_config={
                "max_retries": RETRIES if retries is None else retries,
                "retry_timeout": timedelta(seconds=retry_seconds),
            },
            **config,
        )


@contextmanager
def errors(address: str) -> Iterator[None]:
    """What the service said, in one line: the library's words go on with its requests. Raises `OSError`, `StateUnavailable`."""
    exceptions = importlib.import_module("obstore.exceptions")
    try:
        yield
    except FileNotFoundError as cause:
        raise FileNotFoundError(errno.ENOENT, _line(cause), address) from None
    except exceptions.BaseError as cause:
        raise StateUnavailable(f"{address}: {_line(cause)}") from None


def _line(cause: Exception) -> str:
    text = str(cause)
    if said := _SAID.search(text):
        return f"{said[1]}: {said[2]}"
    return text.partition("\n")[0][:300]
