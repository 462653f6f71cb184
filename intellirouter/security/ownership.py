"""Whose each kind of thing is, and what it is kept under: one table, walked by a test with two tenants on running nodes.

Whoever adds a store or a cache adds a line here. Nothing that belongs to one tenant is shown to another, and a value that is kept
is given only to a caller who may just as much as the one it was made for (`Caller.reach`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Kind:
    """`owner`: a tenant; a tenant and what its key may; or a tenant unless the operator shares it. `key` names its parts."""

    name: str
    owner: Literal["tenant", "reach", "tenant or shared"]
    key: tuple[str, ...]
    acts_as: Literal["", "key"] = ""
    """`key`: it does something later, in the name of the key that left it."""


KINDS = (
    Kind("conversation", "tenant", ("tenant", "id")),
    Kind("conversation summary", "tenant", ("tenant", "id"), "key"),
    Kind("kept response", "tenant", ("tenant", "id")),
    Kind("item of a kept response", "tenant", ("tenant", "id")),
    Kind("cached answer", "tenant", ("tenant", "request")),
    Kind("cached step", "reach", ("tenant", "models", "scopes", "step")),
    Kind("retrieval", "reach", ("tenant", "models", "scopes", "question", "collection")),
    Kind("chain", "tenant", ("tenant", "name")),
    Kind("run", "tenant", ("id",), "key"),
    Kind("hook delivery", "tenant", ("tenant", "id")),
    Kind("schedule", "tenant", ("tenant", "name"), "key"),
    Kind("idempotency key", "tenant", ("tenant", "key")),
    Kind("collection", "tenant", ("tenant", "name")),
    Kind("document", "tenant", ("collection", "name")),
    Kind("ingestion job", "tenant", ("id",), "key"),
    Kind("file", "tenant", ("id",)),
    Kind("vector store", "tenant", ("id",)),
    Kind("file batch", "tenant", ("id",), "key"),
    Kind("persona", "tenant or shared", ("tenant", "name")),
    Kind("request record", "tenant", ("tenant", "id")),
)
