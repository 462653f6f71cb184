"""Whose each kind of thing is, and what it is kept under: one table, walked by a test with two tenants on running nodes.

Whoever adds a store or a cache adds a line here. Nothing that belongs to one tenant is shown to another, and a value that is kept
is given only to a caller who may just as much as the one it was made for (`Caller.reach`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


def owned(tenant: str, name: str) -> str:
    """A name that a tenant gave, or that somebody may say: tenants and names that differ never make the same text."""
    return f"{tenant.replace('%', '%25').replace(':', '%3A')}:{name}"


@dataclass(frozen=True, slots=True)
class Kind:
    """`owner`: a tenant; a tenant and what its key may; or a tenant unless the operator shares it. `key` names its parts."""

    name: str
    owner: Literal["tenant", "reach", "tenant or shared"]
    key: tuple[str, ...]
    bound: str
    """The configuration key that says how much of it a tenant, or a node in all, may keep; `memory`: a cache of the process, whose
    bound is in `bounds/table.py`; `people`: `MAX_ACCOUNTS`, whose sign-ins end by themselves."""
    acts_as: Literal["", "key"] = ""
    """`key`: it does something later, in the name of the key that left it."""


KINDS = (
    Kind("conversation", "tenant", ("tenant", "id"), "keeping.conversations"),
    Kind("conversation summary", "tenant", ("tenant", "id"), "keeping.conversations", "key"),
    Kind("kept response", "tenant", ("tenant", "id"), "keeping.responses"),
    Kind("item of a kept response", "tenant", ("tenant", "id"), "keeping.responses"),
    Kind("cached answer", "reach", ("tenant", "models", "request"), "cache.max_bytes"),
    Kind("cached step", "reach", ("tenant", "models", "scopes", "step"), "memory"),
    Kind("retrieval", "reach", ("tenant", "models", "scopes", "question", "collection"), "memory"),
    Kind("chain", "tenant", ("tenant", "name"), "keeping.chains"),
    Kind("version of a chain", "tenant", ("tenant", "name"), "keeping.chains"),
    Kind("run", "tenant", ("id",), "keeping.runs", "key"),
    Kind("run of an edge", "tenant", ("edge", "id"), "keeping.runs"),
    Kind("hook delivery", "tenant", ("tenant", "id"), "keeping.runs"),
    Kind("schedule", "tenant", ("tenant", "name"), "keeping.schedules", "key"),
    Kind("trigger", "tenant", ("tenant", "name"), "keeping.schedules", "key"),
    Kind("idempotency key", "tenant", ("tenant", "key"), "keeping.runs"),
    Kind("collection", "tenant", ("tenant", "name"), "keeping.collections"),
    Kind("document", "tenant", ("collection", "name"), "keeping.documents"),
    Kind("source", "tenant", ("tenant", "name"), "keeping.documents"),
    Kind("what a model wrote about a document", "tenant", ("document",), "keeping.documents", "key"),
    Kind("wording of a question", "reach", ("tenant", "models", "scopes", "question"), "memory"),
    Kind("ingestion job", "tenant", ("id",), "keeping.documents", "key"),
    Kind("file", "tenant", ("id",), "keeping.files"),
    Kind("part of a file", "tenant", ("upload",), "keeping.rag_bytes"),
    Kind("vector store", "tenant", ("id",), "keeping.collections"),
    Kind("file batch", "tenant", ("id",), "keeping.documents", "key"),
    Kind("persona", "tenant or shared", ("tenant", "name"), "keeping.personas"),
    Kind("request record", "tenant", ("tenant", "id"), "records.max_bytes"),
    Kind("account", "tenant", ("id",), "people"),
    Kind("sign-in", "tenant", ("session",), "people"),
    Kind("console session", "tenant", ("session",), "people"),
)
