"""`[auth]`: API keys of clients."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from intellirouter.config.schema.audit import AuditSection
from intellirouter.config.schema.identity import JwtSection, LoginSection, OidcSection
from intellirouter.config.schema.section import Section, empty, networks

SCOPES = {
    "inference": "ask models, and whatever is asked through them",
    "chains": "store and schedule chains",
    "personas": "change personas",
    "audit": "read the records of every tenant",
    "admin": "everything, and the administration of the node",
}
"""What a key may be good for."""


def unknown_scopes(scopes: Iterable[str]) -> str:
    """What to say of scopes that no endpoint asks for; empty when all are known."""
    strange = [scope for scope in scopes if scope not in SCOPES]
    if not strange:
        return ""
    return f"there is no scope {', '.join(map(repr, strange))}. Scopes: {', '.join(SCOPES)}"


class AuthKey(Section):
    """`[[auth.keys]]`: one key, known only by its hash (`intellirouter keys hash` prints it)."""

    name: str = Field(min_length=1, description="what logs, limits and spending call it")
    sha256: str = Field(description="hexadecimal SHA-256 of the key")
    scopes: tuple[str, ...] = Field(
        default=("inference",),
        description="what it may do: inference, chains, personas, audit, admin (everything)",
    )
    roles: tuple[str, ...] = Field(
        default=(), description="in place of scopes: roles, built-in ones or those of auth.policy_file"
    )
    models: tuple[str, ...] = Field(
        default=(), description="empty: every model; * for anything, as in small-*"
    )
    tenant: str = Field(default="default", description="whose conversations, documents and answers it sees")
    team: str | None = Field(default=None, description="limits and budgets of a team hold for all its keys")
    record: Literal["off", "errors", "all"] | None = Field(
        default=None,
        description="content of its requests that may be kept at most; absent: as [records] content says",
    )

    @field_validator("scopes")
    @classmethod
    def _known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if told := unknown_scopes(value):
            raise ValueError(told)
        return value

    endpoints: tuple[str, ...] = Field(
        default=(), description="paths it may ask, * for anything, as in /v1/chat/*; empty: all"
    )
    addresses: tuple[str, ...] = Field(
        default=(), description="networks it may come from, as in 10.0.0.0/8; empty: anywhere"
    )
    collections: tuple[str, ...] = Field(
        default=(), description="collections of documents it may use, * for anything; empty: all"
    )
    max_parallel: int | None = Field(
        default=None, ge=0, description="its requests that a process answers at once; absent: as many as come"
    )

    @field_validator("addresses")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return networks(value)

    @model_validator(mode="after")
    def _scopes_or_roles(self) -> AuthKey:
        if self.roles and "scopes" in self.model_fields_set:
            raise ValueError("scopes: a key has scopes or roles, not both")
        return self

    @field_validator("sha256")
    @classmethod
    def _hexadecimal(cls, value: str) -> str:
        digest = value.lower().removeprefix("sha256:")
        if not re.fullmatch(r"[0-9a-f]{64}", digest):
            raise ValueError("is not a SHA-256 in hexadecimal: give the key's hash, never the key itself")
        return digest


class AuthSection(Section):
    """`[auth]`. Off by default, so that a laptop needs no key."""

    enabled: bool = Field(default=False, description="ask every client for a key")
    keys: tuple[AuthKey, ...] = ()
    jwt: tuple[JwtSection, ...] = ()
    oidc: tuple[OidcSection, ...] = ()
    login: LoginSection = Field(default_factory=empty(LoginSection))
    policy_file: Path | None = Field(
        default=None, description="roles and who has them, as YAML or TOML; without it the built-in roles"
    )
    keys_copy_seconds: float = Field(
        default=120,
        ge=0,
        description="how old this node's copy of the keys made at run time may be where it starts without its store; 0: never taken",
    )
    audit: AuditSection = Field(default_factory=empty(AuditSection))
