"""`[ipc]`: where the other roles are, and how roles trust one another."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from intellirouter.config.schema.section import OptionalUrl, Seconds, Section, SigningSecret, empty


class IpcSecurity(Section):
    """`[ipc.security]`: a shared token that signs each call, certificates (mTLS), or both.

    `previous_token` stays valid while a new one is rolled out. With `ca`, `certificate` and `key` every role of the node serves TLS
    (with the certificate of `[server.tls]` where there is one), and takes calls of other roles only with a certificate of `ca`
    that names their role: `subjectAltName = DNS:router.role.intellirouter.internal`.
    """

    enabled: bool = Field(
        default=False, description="sign calls between roles, and refuse those that are not signed"
    )
    token: SigningSecret | None = Field(default=None, description="the shared secret; the same on every node")
    previous_token: SigningSecret | None = Field(
        default=None, description="is taken too while a new one is rolled out"
    )
    ca: Path | None = Field(default=None, description="PEM file of the authority of all nodes")
    certificate: Path | None = Field(
        default=None, description="PEM file with the certificate of this node, which names its role"
    )
    key: Path | None = Field(default=None, description="PEM file with its private key")


class IpcSection(Section):
    """`[ipc]`. An absent endpoint means the role runs in this process, or is not there."""

    router_endpoint: OptionalUrl = Field(default=None, description="where the other roles ask for models")
    chain_engine_endpoint: OptionalUrl = Field(default=None, description="where the Router starts chains")
    rag_manager_endpoint: OptionalUrl = Field(default=None, description="where the Router searches documents")
    persona_layer_endpoint: OptionalUrl = Field(
        default=None, description="where the Router asks for personas"
    )
    discovery: Literal["static", "dns", "env"] = Field(
        default="static",
        description="dns: an endpoint's host that begins with an underscore is an SRV name; static and env: it is the host",
    )
    dns_server: str | None = Field(
        default=None,
        pattern=r".+:\d+$",
        description="host:port of the name server to ask; absent: the system's",
    )
    protocol: Literal["http", "grpc"] = Field(
        default="http", description="how roles speak with one another; clients always speak HTTP"
    )
    timeout: Seconds = Field(default=30, description="for one call of another role")
    security: IpcSecurity = Field(default_factory=empty(IpcSecurity))
