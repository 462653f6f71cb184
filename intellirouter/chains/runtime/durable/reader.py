"""The one reader of stored values: JSON. dbos has another, pickle, which a row may ask for while a node runs (`rows.py`)."""

from __future__ import annotations

from typing import Any

from dbos._serialization import DefaultSerializer

from intellirouter.chains.runtime.durable.rows import READER


def only_reader() -> None:
    """From here on dbos reads no pickle in this process, whatever a row says."""
    DefaultSerializer.deserialize = _refuse  # type: ignore[method-assign,assignment]  # it has no setting for it


def _refuse(_serializer: DefaultSerializer, _text: str) -> Any:
    raise ValueError(
        f"a stored value wants to be read by pickle, which runs what stands in it; only {READER} is read"
    )
