"""`[ipc]`: where the other roles are, and how roles trust one another."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr

from intellirouter.config.schema.section import OptionalUrl, Seconds, Section


class IpcSecurity(Section):
    """`[ipc.security]`: a shared token that signs each call, certificates (mTLS), or both.

    `previous_token` stays valid while a new one is rolled out. With `ca`, `certificate` and `key` every role of the node serves TLS
    (with the certificate of `[server.tls]` where there is one), and takes calls of other roles only with a certificate of `ca`
    that names their role: `subjectAltName = DNS:router.role.intellirouter.internal`.
    """

    enabled: bool = False
    token: SecretStr | None = None
    previous_token: SecretStr | None = None
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None


class IpcSection(Section):
    """`[ipc]`. An absent endpoint means the role runs in this process, or is not there."""

    router_endpoint: OptionalUrl = None
    chain_engine_endpoint: OptionalUrl = None
    rag_manager_endpoint: OptionalUrl = None
    persona_layer_endpoint: OptionalUrl = None
    discovery: Literal["static", "dns", "env"] = Field(
        default="static",
        description="dns: an endpoint's host that begins with an underscore is an SRV name; static and env: it is the host",
    )
    dns_server: str | None = Field(
        default=None,
        pattern=r".+:\d+$",
        description="host:port of the name server to ask; absent: the system's",
    )
    protocol: Literal["http", "grpc"] = "http"
    timeout: Seconds = 30
    security: IpcSecurity = Field(default_factory=IpcSecurity)
