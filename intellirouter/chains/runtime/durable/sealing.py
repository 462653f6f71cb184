"""What chains say and do, encrypted in their database: inputs, outputs, errors and signals of runs, definitions, what waits in line.

dbos hands every value of a run to one serializer: while the engine runs its two methods seal and open (`sealed_values`). Our own
tables have columns that do so themselves, by the sealer of their engine. A value that is not sealed is read as it is, so that a
key can come later; `reseal` seals what has another key or none.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.types import TypeDecorator

from intellirouter.chains.runtime.durable.rows import COLUMN, SCHEMA
from intellirouter.security.sealing import Sealer

PURPOSE, PLACE = "chain", "value of a run"
_VALUES = frozenset({"inputs", "output", "error", "message", "value"})
"""Columns of dbos whose values its serializer wrote, in tables that name the serializer,"""
_UNNAMED = frozenset({"workflow_input", "workflow_output"})
"""and in those that leave that to another."""
PAGE = 200


class SealedBytes(TypeDecorator[bytes]):
    """Bytes that are encrypted where the engine of their table has a sealer. `place` binds them to their column."""

    impl = sa.LargeBinary
    cache_ok = True

    def __init__(self, place: str) -> None:
        super().__init__()
        self.place = place

    def process_bind_param(self, value: bytes | None, dialect: sa.Dialect) -> bytes | None:
        """On the way in."""
        sealer = _sealer_of(dialect)
        return value if sealer is None or value is None else sealer.seal(PURPOSE, self.place, value)

    def process_result_value(self, value: bytes | None, dialect: sa.Dialect) -> bytes | None:
        """On the way out. Raises `NotOpened`."""
        sealer = _sealer_of(dialect)
        return value if sealer is None or value is None else sealer.open(PURPOSE, self.place, bytes(value))


class SealedText(TypeDecorator[str]):
    """The same for a text."""

    impl = sa.Text
    cache_ok = True

    def __init__(self, place: str) -> None:
        super().__init__()
        self.place = place

    def process_bind_param(self, value: str | None, dialect: sa.Dialect) -> str | None:
        """On the way in."""
        sealer = _sealer_of(dialect)
        return value if sealer is None or value is None else sealer.seal_text(PURPOSE, self.place, value)

    def process_result_value(self, value: str | None, dialect: sa.Dialect) -> str | None:
        """On the way out. Raises `NotOpened`."""
        sealer = _sealer_of(dialect)
        return value if sealer is None or value is None else sealer.open_text(PURPOSE, self.place, value)


def _sealer_of(dialect: sa.Dialect) -> Sealer | None:
    return getattr(dialect, "sealer", None)


@contextlib.contextmanager
def sealed_values(engine: sa.Engine, sealer: Sealer | None) -> Iterator[None]:
    """Encrypt what goes into this engine's database while the context is open: dbos, of which a process has one, and our tables."""
    if sealer is None:
        yield
        return
    dialect: Any = engine.dialect  # a column's type is told its dialect and no more
    dialect.sealer = sealer
    # imported here: every process lists our tables, and few run chains
    serializer: Any = importlib.import_module("dbos._serialization").DBOSPortableJSON
    plain_write, plain_read = serializer.serialize, serializer.deserialize

    def write(value: Any) -> str:
        return sealer.seal_text(PURPOSE, PLACE, plain_write(value))

    def read(text: str | None) -> Any:
        return plain_read(None if text is None else sealer.open_text(PURPOSE, PLACE, text))

    serializer.serialize, serializer.deserialize = write, read
    try:
        yield
    finally:
        del serializer.serialize, serializer.deserialize  # what the class has shows again


def reseal(engine: sa.Engine, sealer: Sealer, tables: Iterable[sa.Table]) -> int:
    """Seal with the current key what is not, in these tables of ours and in those of dbos; how many rows were.

    Nodes may run meanwhile: a value that changed under way was written with a current key. Interrupted, it is run again.
    """
    count = 0
    for table in tables:
        sealed = [column for column in table.columns if isinstance(column.type, (SealedBytes, SealedText))]
        if sealed and sa.inspect(engine).has_table(table.name):
            kinds = {column.name: cast("SealedBytes | SealedText", column.type).place for column in sealed}
            count += _table(engine, sealer, table, kinds)
    for table in _of_dbos(engine):
        count += _table(
            engine, sealer, table, {column.name: PLACE for column in table.columns if column.name in _VALUES}
        )
    return count


def _of_dbos(engine: sa.Engine) -> Iterator[sa.Table]:
    schema = None if engine.dialect.name == "sqlite" else SCHEMA
    inspector = sa.inspect(engine)
    if schema is not None and not inspector.has_schema(schema):
        return
    for name in inspector.get_table_names(schema=schema):
        columns = {column["name"] for column in inspector.get_columns(name, schema=schema)}
        keys = inspector.get_pk_constraint(name, schema=schema)["constrained_columns"]
        if (COLUMN in columns or name in _UNNAMED) and columns & _VALUES and keys:
            shown: list[sa.Column[Any]] = [sa.Column(key, primary_key=True) for key in keys]
            values = [sa.Column(value, sa.Text) for value in sorted(columns & _VALUES)]
            yield sa.Table(name, sa.MetaData(), *shown, *values, schema=schema)


def _table(engine: sa.Engine, sealer: Sealer, table: sa.Table, places: dict[str, str]) -> int:
    """One table, a page at a time in the order of its key. The engine has no sealer of its own: values come as they lie there."""
    keys = list(table.primary_key.columns)
    wanted = sa.select(*keys, *(table.c[name] for name in places)).order_by(*keys).limit(PAGE)
    after: Sequence[Any] | None = None
    count = 0
    while True:
        page = (
            wanted if after is None else wanted.where(sa.tuple_(*keys) > sa.tuple_(*map(sa.literal, after)))
        )
        with engine.begin() as connection:
            rows = connection.execute(page).all()
            for row in rows:
                there = dict(zip(places, row[len(keys) :], strict=True))
                fresh = {
                    name: _fresh(sealer, places[name], value)
                    for name, value in there.items()
                    if value is not None and not _current(sealer, value)
                }
                if fresh:
                    same = [column == value for column, value in zip(keys, row, strict=False)]
                    same += [table.c[name] == there[name] for name in fresh]
                    count += connection.execute(table.update().where(*same).values(fresh)).rowcount
        if len(rows) < PAGE:
            return count
        after = rows[-1][: len(keys)]


def _current(sealer: Sealer, value: bytes | str) -> bool:
    return sealer.is_current_text(value) if isinstance(value, str) else sealer.is_current(bytes(value))


def _fresh(sealer: Sealer, place: str, value: bytes | str) -> bytes | str:
    seal: Callable[..., Any] = sealer.seal_text if isinstance(value, str) else sealer.seal
    opened: Callable[..., Any] = sealer.open_text if isinstance(value, str) else sealer.open
    raw = value if isinstance(value, str) else bytes(value)
    return cast("bytes | str", seal(PURPOSE, place, opened(PURPOSE, place, raw)))
