"""At the centre: takes the rows of edges' records into its own record, each once.

An edge is believed as far as its tenants go, and no further: what it says of names, numbers and times is read as a stranger's. Its keys,
nodes and runs are called by the edge's name here, as its runs are, so that nobody's of the centre is taken for one of them. Of what was
said only that is kept which this record would keep of its own, and as it would.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec
import structlog

from intellirouter.bounds.aside import LONG
from intellirouter.bounds.values import CONTAINER, TooLarge, weight
from intellirouter.config.schema.chain_edges import ChainEdge
from intellirouter.config.schema.records import Content
from intellirouter.errors import IntelliRouterError
from intellirouter.peers.edges import MAX_DOCUMENT, Had, Sent
from intellirouter.records.columns import PLAIN
from intellirouter.records.named import MAX_TAG, MAX_TAGS, bounded
from intellirouter.records.records import Records
from intellirouter.records.redaction import Redaction
from intellirouter.records.row import Detail, Ids, Row
from intellirouter.records.sealed import PLAIN_FEEDBACK
from intellirouter.records.store import IdTaken, RowsUnfit, Store
from intellirouter.roles.chain_engine.edges.heavy import too_much
from intellirouter.roles.chain_engine.edges.naming import id_here

MOST_VALUES, DEEPEST = 20_000, 100
"""In one row, and levels of lists and objects in it."""
MAX_COUNT, MAX_AMOUNT = 2**53, 1e12
"""Of tokens, and of seconds and dollars."""
MAX_MESSAGE = 4_000
MAX_PART = 256 * 1024
"""Bytes of a row's detail, and of the feedback on it: many times what a node's own have."""
NO_DETAIL = "The detail was too long to be kept here."
TRIES = 5
"""That ids are drawn: of two rows at one moment every four thousandth pair has the same."""
_TOO_MUCH = f"its document has more than {MAX_DOCUMENT:,} bytes or {MOST_VALUES:,} values"
_RUN = re.compile(r"run_[0-9a-f]{24}")
"""The steps of a run have its id for their session."""
_TEXTS = tuple(name for name in PLAIN if name not in ("id", "message") and Row.__annotations__[name] == "str")
_NUMBERS = tuple(name for name in PLAIN if Row.__annotations__[name] in ("int | None", "float | None"))

log = structlog.get_logger(__name__)
_decode = msgspec.json.Decoder(Row).decode


class Kept(Protocol):
    """What the centre's own record keeps of what is said, as the configuration has it now."""

    level: Content
    redaction: Redaction


@dataclass(slots=True)
class NodeRecord:
    """The record of a node. `keeps` tells for how many seconds; `own_file`: it is this node's alone."""

    records: Records
    content: Kept
    keeps: Callable[[], float]
    own_file: bool


@dataclass(slots=True)
class Adopting:
    """One a centre."""

    record: NodeRecord | None

    async def take(self, name: str, edge: ChainEdge, rows: Sequence[Sent]) -> tuple[list[Had], int]:
        """What an edge brings, in order, and how many were not here before. Raises `RateLimited` where too much of it waits to be read."""
        if not rows:
            return [], 0
        record = self.record
        if record is None:
            why = "the centre keeps no record of requests ([records] enabled, or records = false in chain_engine.centre here)"
            return [Had(sent.id, later=why) for sent in rows], 0
        heavy = [await too_much(sent.document, MOST_VALUES) for sent in rows]
        found = await LONG.run(
            f"edge {name}",
            lambda: [
                _TOO_MUCH if refused else _checked(name, edge, record, sent)
                for sent, refused in zip(rows, heavy, strict=True)
            ],
        )
        good = [(sent, row) for sent, row in zip(rows, found, strict=True) if isinstance(row, Row)]
        oldest = time.time() - record.keeps()  # what is older would be deleted at once
        not_kept, new = await self._adopted(
            record, name, [(sent, row) for sent, row in good if row.ended > oldest]
        )
        said = [
            Had(sent.id, refused=row)
            if isinstance(row, str)
            else not_kept.get(sent.id) or Had(sent.id, sent.version, sent.digest)
            for sent, row in zip(rows, found, strict=True)
        ]
        return said, new

    async def _adopted(
        self, record: NodeRecord, edge: str, rows: Sequence[tuple[Sent, Row]]
    ) -> tuple[dict[str, Had], int]:
        """Those that are not kept, and why; and how many are new."""
        if not rows:
            return {}, 0
        try:
            return {}, await record.records.act(lambda store: _adopt(store, edge, rows))
        except RowsUnfit as error:
            if len(rows) > 1:
                half = len(rows) // 2
                first, here = await self._adopted(record, edge, rows[:half])
                second, there = await self._adopted(record, edge, rows[half:])
                return first | second, here + there
            return {rows[0][0].id: Had(rows[0][0].id, refused=error.message)}, 0
        except IntelliRouterError as error:  # the disk is full, say: runs are taken all the same
            log.warning("chain.edge_rows_not_kept", edge=edge, reason=error.message[:200])
            later = "the record of the centre does not take it now"
            return {sent.id: Had(sent.id, later=later) for sent, _ in rows}, 0


def _adopt(store: Store, edge: str, rows: Sequence[tuple[Sent, Row]]) -> int:
    rows = sorted(rows, key=lambda one: one[1].ended)  # ids only grow, and tell when
    for left in reversed(range(TRIES)):
        ids = Ids()
        for _, row in rows:
            row.id = ids.next(row.ended)
        try:
            return store.adopt(edge, [(int(sent.id), row) for sent, row in rows])
        except IdTaken:
            if not left:
                raise
    return 0


def _checked(name: str, edge: ChainEdge, record: NodeRecord, sent: Sent) -> Row | str:
    """The row as it is kept here, or why it is none."""
    if not edge.speaks_for(sent.tenant):
        return f"this edge may not bring rows of the tenant '{sent.tenant}'"
    if not (sent.id.isascii() and sent.id.isdigit() and len(sent.id) < 20 and int(sent.id) < 2**63):
        return "its id is none of a row"
    try:
        row = _decode(sent.document)
        weight(msgspec.to_builtins(row), MAX_DOCUMENT + CONTAINER * MOST_VALUES, DEEPEST)
    except TooLarge as cause:
        return f"its document cannot be read: {cause.message}"
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as cause:
        return f"its document cannot be read: {str(cause)[:300]}"
    if row.tenant != sent.tenant:
        return "its document is of another tenant"
    if problem := _problem(row):
        return problem
    return _ours(row, name, record.content)


def _problem(row: Row) -> str:
    """Which of its numbers can be none; empty where all can."""
    amounts: dict[str, Any] = {name: getattr(row, name) for name in (*_NUMBERS, "ended", "seconds")}
    for name, value in amounts.items():
        most = MAX_COUNT if isinstance(value, int) else MAX_AMOUNT
        if value is not None and not (math.isfinite(value) and 0 <= value <= most):
            return f"its '{name}' cannot be {value}"
    return "" if 0 <= row.status <= 999 else f"its 'status' cannot be {row.status}"


def _ours(row: Row, edge: str, content: Kept) -> Row:
    for name in _TEXTS:
        setattr(row, name, bounded(getattr(row, name)))
    row.tags = tuple(bounded(tag, MAX_TAG) for tag in row.tags[:MAX_TAGS])
    row.collections = tuple(bounded(name) for name in row.collections[:MAX_TAGS])
    row.ended = min(row.ended, time.time())  # a clock that goes before must not stand above all others
    row.node, row.key = f"{edge}:{row.node}", f"{edge}:{row.key}" if row.key else ""
    row.chain_run = id_here(edge, row.chain_run) if row.chain_run else ""
    if _RUN.fullmatch(row.session):
        row.session = id_here(edge, row.session)
    row.message = content.redaction.text(row.message[:MAX_MESSAGE])
    failed = row.status >= 400 or row.error != ""
    keeps = content.level == "all" or (content.level == "errors" and failed)
    row.asked, row.answered = (_said(text, content) if keeps else None for text in (row.asked, row.answered))
    row.detail = msgspec.structs.replace(row.detail, sealed="") if row.detail.sealed else row.detail
    if len(msgspec.json.encode(row.detail)) > MAX_PART:
        row.detail = Detail(notes=[NO_DETAIL])
    if row.feedback is not None and len(msgspec.json.encode(row.feedback)) > MAX_PART:
        row.feedback = {
            name: value
            for name in sorted(PLAIN_FEEDBACK)
            if isinstance(value := row.feedback.get(name), int | float)
        } or None
    return row


def _said(text: str | None, content: Kept) -> str | None:
    """A body as this record keeps it; one that its edge cut is no JSON any more."""
    if text is None:
        return None
    try:
        return content.redaction.body(msgspec.json.decode(text))
    except (msgspec.DecodeError, RecursionError):
        return content.redaction.cut(content.redaction.string(text))
