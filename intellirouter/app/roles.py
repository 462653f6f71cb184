"""The roles of this build. `All` is every entry that is built."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from intellirouter.config.schema.settings import Settings
from intellirouter.errors import InvalidRequest, RoleUnavailable

if TYPE_CHECKING:  # the web server behind it is for who runs a role
    from intellirouter.roles.role import Role

ALL = "All"


@dataclass(frozen=True, slots=True)
class RoleEntry:
    """A role's name, its module (None: not built yet), its default port, and its file in an installed node.

    `key` is its name in the configuration (`[roles.KEY]`) and on the command line (`--port-KEY`); `section` is the table whose `enabled` leaves the role out of `All`.

    The module is imported only when the role runs, so that a Router pays for nothing of the others.
    """

    name: str
    module: str | None
    port: int
    file: str
    key: str
    section: str | None = None


ROLES = (
    RoleEntry("Router", "intellirouter.roles.router.role", 8080, "router.toml", "router"),
    RoleEntry(
        "ChainEngine", "intellirouter.roles.chain_engine.role", 8081, "orchestrator.toml", "chain_engine"
    ),
    RoleEntry(
        "RagManager", "intellirouter.roles.rag_manager.role", 8082, "rag-manager.toml", "rag_manager", "rag"
    ),
    RoleEntry(
        "PersonaLayer",
        "intellirouter.roles.persona_layer.role",
        8083,
        "persona-layer.toml",
        "persona_layer",
        "persona_layer",
    ),
)


def select(name: str) -> tuple[RoleEntry, ...]:
    """The entries a `--role` means, in any case and with or without dashes.

    Raises `RoleUnavailable` for a role that is not built, `InvalidRequest` for a name that is none.
    """
    wanted = _plain(name)
    if wanted == _plain(ALL):
        return tuple(entry for entry in ROLES if entry.module)
    for entry in ROLES:
        if _plain(entry.name) == wanted:
            if entry.module is None:
                raise RoleUnavailable(f"The role {entry.name} is not part of this build yet.")
            return (entry,)
    names = ", ".join(entry.name for entry in ROLES)
    raise InvalidRequest(f"There is no role '{name}'. Roles: {names}, {ALL}.", param="role")


def enabled(entries: Sequence[RoleEntry], settings: Settings) -> tuple[RoleEntry, ...]:
    """The entries without those that the configuration switches off; a role that is asked for alone always runs."""
    if len(entries) == 1:
        return tuple(entries)
    return tuple(
        entry for entry in entries if entry.section is None or getattr(settings, entry.section).enabled
    )


def load_role(entry: RoleEntry) -> Role:
    """The role object of an entry."""
    return cast("Role", importlib.import_module(entry.module or "").ROLE)


def _plain(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "")
