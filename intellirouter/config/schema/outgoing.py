"""`[outgoing]`: requests that are made because a caller, a document or a chain named their address."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr, field_validator

from intellirouter.config.schema.section import Seconds, Section, matching

HostPort = Annotated[
    str,
    matching(r"(\[[0-9a-fA-F:]+\]|[0-9.]+):\d{1,5}", "must be an address with a port, as in 10.0.0.53:53"),
]


def _place(value: str) -> str:
    host = value.strip().lower()
    if "://" in host or not host or any(char.isspace() for char in host):
        raise ValueError("must be a host, host:port, *.suffix, an address or a network, without a scheme")
    if "/" in host:
        try:
            ip_network(host)
        except ValueError as cause:
            raise ValueError("must be a network such as 10.0.0.0/8") from cause
    return host


Place = Annotated[str, AfterValidator(_place)]


class OutgoingSection(Section):
    """`[outgoing]`. Addresses of this machine, of private networks and of clouds' metadata are refused unless they stand in `allow`."""

    allow: tuple[Place, ...] = Field(
        default=(),
        description="hosts that may be asked wherever they lead: host, host:port, *.suffix, an address, a network such as 10.0.0.0/8",
    )
    proxy: SecretStr | None = Field(
        default=None, description="http://… of a proxy that every such request goes through"
    )
    ca_file: Path | None = Field(
        default=None, description="PEM file of the authorities that are trusted, in place of the system's"
    )
    name_servers: tuple[HostPort, ...] = Field(
        default=(), description="name servers to ask, address:port; absent: the system's"
    )
    timeout_seconds: Seconds = Field(default=60, description="of one request at most, redirects included")
    max_bytes: int = Field(
        default=20 * 1024 * 1024, ge=1024, description="of one answer; a longer one is refused"
    )
    max_redirects: int = Field(default=5, ge=0, le=20, description="that are followed, each one checked")
    max_connections: int = Field(default=100, ge=1, description="at once")

    @field_validator("proxy")
    @classmethod
    def _http(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not value.get_secret_value().startswith(("http://", "https://")):
            raise ValueError("must start with http:// or https://")
        return value
