"""The store that `[records]` asks for."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import cast

from intellirouter.config.schema.records import RecordsSection
from intellirouter.records.sqlite.store import FILE, SqliteStore
from intellirouter.records.store import Store


def opener(section: RecordsSection, directory: Path) -> Callable[[], Store]:
    """What opens it. Raises `StateUnavailable` when called and it cannot be had."""
    url = section.database_url
    if url is None:
        return lambda: SqliteStore(directory / FILE)
    secret = url.get_secret_value()

    def open_server() -> Store:
        # a node that records into a file must not pay for psycopg
        return cast(
            "Store", importlib.import_module("intellirouter.records.postgres.store").PostgresStore(secret)
        )

    return open_server
