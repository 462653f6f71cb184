"""Triggers in the database of the runs. A tenant is part of every question but those of the engine itself."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from typing import Any

import msgspec
import sqlalchemy as sa

from intellirouter.chains.runtime.durable.sealing import SealedBytes
from intellirouter.roles.chain_engine.store import METADATA
from intellirouter.security.caller import Owner

KINDS = ("webhook", "event", "folder", "run")

_TRIGGERS = sa.Table(
    "intellirouter_chain_triggers",
    METADATA,
    sa.Column("tenant", sa.String(200), primary_key=True),
    sa.Column("name", sa.String(200), primary_key=True),
    sa.Column("kind", sa.String(20), nullable=False),
    sa.Column("chain", sa.String(200), nullable=False),
    sa.Column("spec", SealedBytes("triggers.spec"), nullable=False),
    sa.Column("inputs", SealedBytes("triggers.inputs")),
    sa.Column("caller", sa.LargeBinary, nullable=False),
    sa.Column("hook", sa.String(64), nullable=False, index=True),
    sa.Column("secret", SealedBytes("triggers.secret")),
    sa.Column("paused", sa.Boolean, nullable=False),
    sa.Column("created", sa.Float, nullable=False),
    sa.Column("fired", sa.Float),
    sa.Column("problem", sa.String(500)),
)
_SEEN = sa.Table(
    "intellirouter_chain_files",
    METADATA,
    sa.Column("tenant", sa.String(200), primary_key=True),
    sa.Column("name", sa.String(200), primary_key=True),
    sa.Column("file", sa.String(1000), primary_key=True),
    sa.Column("stamp", sa.String(100), nullable=False),
)


@dataclass(frozen=True, slots=True)
class Trigger:
    """`spec` and `inputs` are JSON; `hook` is the part of a webhook's address that nobody guesses, `secret` what signs (encrypted in the database, where there is a
    key); `fired` is the Unix time of the last run, and `problem` says why none came of the last occurrence."""

    tenant: str
    name: str
    kind: str
    chain: str
    spec: bytes
    inputs: bytes | None
    caller: bytes
    hook: str
    secret: bytes | None
    paused: bool
    created: float
    fired: float | None = None
    problem: str | None = None

    def owner(self) -> Owner:
        """Who made it."""
        return msgspec.json.decode(self.caller, type=Owner)

    def settings(self) -> dict[str, Any]:
        """What its kind is told."""
        found: dict[str, Any] = msgspec.json.decode(self.spec)
        return found

    def matches(self, what: str, status: str = "") -> bool:
        """Whether an event of this type, or the end of a run of this chain, concerns it."""
        told = self.settings()
        if self.kind == "event":
            return fnmatchcase(what, told["type"])
        return fnmatchcase(what, told["of"]) and status in told["status"]

    def shown(self, stopped: str = "") -> dict[str, Any]:
        """As clients see it; the secret is shown once, by whoever makes it."""
        return {
            "id": self.name,
            "object": "chain.trigger",
            "kind": self.kind,
            "chain": self.chain,
            **self.settings(),
            "input": None if self.inputs is None else msgspec.json.decode(self.inputs),
            "path": f"/v1/webhooks/{self.hook}" if self.kind == "webhook" else None,
            "status": "stopped" if stopped else "paused" if self.paused else "active",
            "message": stopped or self.problem,
            "created_at": round(self.created, 3),
            "last_fired_at": None if self.fired is None else round(self.fired, 3),
        }


@dataclass(frozen=True, slots=True)
class TriggerStore:
    """Blocking: call it in a thread."""

    engine: sa.Engine

    def kept(self, tenant: str) -> int:
        """How many the tenant has."""
        wanted = sa.select(sa.func.count()).select_from(_TRIGGERS).where(_TRIGGERS.c.tenant == tenant)
        with self.engine.connect() as connection:
            return int(connection.execute(wanted).scalar_one())

    def put(self, trigger: Trigger) -> bool:
        """Make or replace; true when it is new."""
        values = asdict(trigger)
        with self.engine.begin() as connection:
            changed = connection.execute(
                _TRIGGERS.update().where(_mine(trigger.tenant, trigger.name)).values(values)
            )
            if changed.rowcount == 0:
                connection.execute(_TRIGGERS.insert().values(values))
            return changed.rowcount == 0

    def get(self, tenant: str, name: str) -> Trigger | None:
        """One of them."""
        return self._one(_mine(tenant, name))

    def by_hook(self, hook: str) -> Trigger | None:
        """The webhook of an address."""
        return self._one(sa.and_(_TRIGGERS.c.hook == hook, _TRIGGERS.c.kind == "webhook"))

    def _one(self, wanted: sa.ColumnElement[bool]) -> Trigger | None:
        with self.engine.connect() as connection:
            row = connection.execute(sa.select(_TRIGGERS).where(wanted)).one_or_none()
        return None if row is None else Trigger(*row)

    def all(self, tenant: str | None = None, kinds: Iterable[str] = KINDS) -> list[Trigger]:
        """A tenant's, or everybody's, by name."""
        wanted = sa.select(_TRIGGERS).where(_TRIGGERS.c.kind.in_(tuple(kinds)))
        if tenant is not None:
            wanted = wanted.where(_TRIGGERS.c.tenant == tenant)
        with self.engine.connect() as connection:
            rows = connection.execute(wanted.order_by(_TRIGGERS.c.tenant, _TRIGGERS.c.name))
            return [Trigger(*row) for row in rows]

    def change(self, tenant: str, name: str, **values: Any) -> bool:
        """Change columns; false when there is no such trigger."""
        with self.engine.begin() as connection:
            return bool(
                connection.execute(_TRIGGERS.update().where(_mine(tenant, name)).values(values)).rowcount
            )

    def delete(self, tenant: str, name: str) -> bool:
        """False when there was none."""
        with self.engine.begin() as connection:
            connection.execute(_SEEN.delete().where(_SEEN.c.tenant == tenant, _SEEN.c.name == name))
            return bool(connection.execute(_TRIGGERS.delete().where(_mine(tenant, name))).rowcount)

    def seen(self, trigger: Trigger) -> dict[str, str]:
        """The files that runs were started for, and the stamps they had."""
        wanted = sa.select(_SEEN.c.file, _SEEN.c.stamp).where(
            _SEEN.c.tenant == trigger.tenant, _SEEN.c.name == trigger.name
        )
        with self.engine.connect() as connection:
            return {row.file: row.stamp for row in connection.execute(wanted)}

    def note(self, trigger: Trigger, file: str, stamp: str | None) -> None:
        """A run was started for the file; `stamp` None: the file is gone."""
        mine = sa.and_(_SEEN.c.tenant == trigger.tenant, _SEEN.c.name == trigger.name, _SEEN.c.file == file)
        with self.engine.begin() as connection:
            connection.execute(_SEEN.delete().where(mine))
            if stamp is not None:
                row = {"tenant": trigger.tenant, "name": trigger.name, "file": file, "stamp": stamp}
                connection.execute(_SEEN.insert().values(row))


def _mine(tenant: str, name: str) -> sa.ColumnElement[bool]:
    return sa.and_(_TRIGGERS.c.tenant == tenant, _TRIGGERS.c.name == name)
