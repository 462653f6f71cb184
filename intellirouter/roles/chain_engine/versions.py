"""The versions of stored chains: what each definition said before, which one runs, and which share of runs tries another.

A definition that differs from the last one gets the next `revision` of its chain, counted by the engine; the `version` in its head is its
author's own word. A revision is never changed.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from typing import Any

import msgspec
import sqlalchemy as sa

from intellirouter.chains.runtime.durable.sealing import SealedBytes
from intellirouter.errors import NotFound
from intellirouter.roles.chain_engine.store import CHAINS, METADATA, RUNS, StoredChain, stored

MAX_VERSIONS = 100
"""Of one chain; the oldest that does not run is forgotten."""
MAX_BYTES = 16_000_000
"""Of the definitions of one chain together, likewise."""

_VERSIONS = sa.Table(
    "intellirouter_chain_versions",
    METADATA,
    sa.Column("tenant", sa.String(200), primary_key=True),
    sa.Column("name", sa.String(200), primary_key=True),
    sa.Column("revision", sa.Integer, primary_key=True),
    sa.Column("document", SealedBytes("chains.document"), nullable=False),
    sa.Column("created", sa.Float, nullable=False),
    sa.Column("author", sa.String(200), nullable=False),
)


@dataclass(frozen=True, slots=True)
class Version:
    """One definition that a chain has or had. `author` is the id of the key that stored it, where there are keys."""

    revision: int
    document: dict[str, Any]
    created: float
    author: str


def tries(run_id: str, share: float) -> bool:
    """Whether a run is of the `share` (percent) that tries a new version: the same answer for the same run, on every node."""
    digest = hashlib.sha256(run_id.encode()).digest()
    return int.from_bytes(digest[:4]) * 100 < share * 2**32


@dataclass(frozen=True, slots=True)
class Versions:
    """Blocking: call it in a thread. A tenant is part of every question."""

    engine: sa.Engine

    def put(
        self, tenant: str, name: str, document: dict[str, Any], author: str = "", share: float | None = None
    ) -> tuple[StoredChain, bool]:
        """Store a definition; true when the chain is new.

        With a `share` of runs (percent) an existing chain goes on as it is, and only that share tries the definition.
        """
        for last in (False, False, True):
            try:
                return self._put(tenant, name, document, author, share)
            except sa.exc.IntegrityError:  # somebody else stored one at the same moment
                if last:
                    raise
        raise AssertionError("three rounds")

    def _put(
        self, tenant: str, name: str, document: dict[str, Any], author: str, share: float | None
    ) -> tuple[StoredChain, bool]:
        now, data = time.time(), msgspec.json.encode(document)
        mine = sa.and_(CHAINS.c.tenant == tenant, CHAINS.c.name == name)
        with self.engine.begin() as connection:
            row = connection.execute(sa.select(CHAINS).where(mine).with_for_update()).one_or_none()
            if row is None:
                first = {"tenant": tenant, "name": name, "document": data, "created": now}
                connection.execute(CHAINS.insert().values(**first, updated=now, revision=1))
                connection.execute(_VERSIONS.insert().values(**first, revision=1, author=author))
                return StoredChain(name, document, now, now), True
            found = stored(row)
            values: dict[str, Any] = {"updated": now, "trial": None, "share": None}
            if share is None and _same(found.document, document):
                revision = found.revision
            else:
                revision = self._next(connection, tenant, found)
                new = {"tenant": tenant, "name": name, "revision": revision, "document": data}
                connection.execute(_VERSIONS.insert().values(**new, created=now, author=author))
            if share is None:
                values |= {"document": data, "revision": revision}
            else:
                values |= {"trial": revision, "share": share}
            connection.execute(CHAINS.update().where(mine).values(values))
            changed = stored(connection.execute(sa.select(CHAINS).where(mine)).one())
            self._prune(connection, tenant, changed)
        return changed, False

    def _next(self, connection: sa.Connection, tenant: str, found: StoredChain) -> int:
        """The next number. A chain that was stored before there were versions gets its first one now."""
        mine = sa.and_(_VERSIONS.c.tenant == tenant, _VERSIONS.c.name == found.name)
        last = connection.execute(sa.select(sa.func.max(_VERSIONS.c.revision)).where(mine)).scalar()
        if last is None:
            row = {"tenant": tenant, "name": found.name, "revision": found.revision, "author": ""}
            data = msgspec.json.encode(found.document)
            connection.execute(_VERSIONS.insert().values(**row, document=data, created=found.updated))
        return int(last or found.revision) + 1

    def _prune(self, connection: sa.Connection, tenant: str, found: StoredChain) -> None:
        mine = sa.and_(_VERSIONS.c.tenant == tenant, _VERSIONS.c.name == found.name)
        sizes = sa.select(_VERSIONS.c.revision, sa.func.length(_VERSIONS.c.document))
        old, kept, weight = [], 0, 0
        for revision, size in connection.execute(sizes.where(mine).order_by(_VERSIONS.c.revision.desc())):
            kept, weight = kept + 1, weight + size
            if (kept > MAX_VERSIONS or weight > MAX_BYTES) and revision not in (found.revision, found.trial):
                old.append(revision)
        if old:
            connection.execute(_VERSIONS.delete().where(mine, _VERSIONS.c.revision.in_(old)))

    def listed(self, tenant: str, chain: StoredChain) -> list[Version]:
        """The newest first."""
        mine = sa.and_(_VERSIONS.c.tenant == tenant, _VERSIONS.c.name == chain.name)
        with self.engine.connect() as connection:
            rows = connection.execute(
                sa.select(_VERSIONS).where(mine).order_by(_VERSIONS.c.revision.desc())
            ).all()
        if not rows:
            return [Version(chain.revision, chain.document, chain.updated, "")]
        return [_version(row) for row in rows]

    def one(self, tenant: str, chain: StoredChain, revision: int) -> Version:
        """One of them. Raises `NotFound`."""
        mine = sa.and_(
            _VERSIONS.c.tenant == tenant, _VERSIONS.c.name == chain.name, _VERSIONS.c.revision == revision
        )
        with self.engine.connect() as connection:
            row = connection.execute(sa.select(_VERSIONS).where(mine)).one_or_none()
        if row is not None:
            return _version(row)
        if revision == chain.revision:
            return Version(revision, chain.document, chain.updated, "")
        raise NotFound(f"The chain '{chain.name}' has no revision {revision}.")

    def run(self, tenant: str, chain: StoredChain, version: Version) -> StoredChain:
        """Let a version be the one that runs; nothing is tried beside it any more."""
        mine = sa.and_(CHAINS.c.tenant == tenant, CHAINS.c.name == chain.name)
        values = {"document": msgspec.json.encode(version.document), "revision": version.revision}
        with self.engine.begin() as connection:
            self._next(connection, tenant, chain)  # keeps what was stored before there were versions
            connection.execute(
                CHAINS.update().where(mine).values(**values, updated=time.time(), trial=None, share=None)
            )
            return stored(connection.execute(sa.select(CHAINS).where(mine)).one())

    def share(self, tenant: str, name: str, trial: int | None, share: float | None) -> StoredChain:
        """Let a share of runs (percent) try a version; None: no more."""
        mine = sa.and_(CHAINS.c.tenant == tenant, CHAINS.c.name == name)
        with self.engine.begin() as connection:
            connection.execute(CHAINS.update().where(mine).values(trial=trial, share=share))
            return stored(connection.execute(sa.select(CHAINS).where(mine)).one())

    def forget(self, tenant: str, name: str) -> None:
        """The chain is deleted."""
        mine = sa.and_(_VERSIONS.c.tenant == tenant, _VERSIONS.c.name == name)
        with self.engine.begin() as connection:
            connection.execute(_VERSIONS.delete().where(mine))

    def runs_of(self, tenant: str, name: str, revision: int, limit: int) -> list[str]:
        """The newest runs of a version."""
        wanted = (
            sa.select(RUNS.c.run_id)
            .where(RUNS.c.tenant == tenant, RUNS.c.chain == name, RUNS.c.revision == revision)
            .order_by(RUNS.c.created.desc())
            .limit(limit)
        )
        with self.engine.connect() as connection:
            return list(connection.execute(wanted).scalars())


def _same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether they say the same; `1` and `true` do not."""
    return msgspec.json.encode(one, order="deterministic") == msgspec.json.encode(
        other, order="deterministic"
    )


def _version(row: Any) -> Version:
    return Version(row.revision, msgspec.json.decode(row.document), row.created, row.author)
