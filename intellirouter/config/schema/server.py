"""`[server]`: where this node listens, and what it accepts."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from intellirouter.config.schema.section import Port, Seconds, Section, networks


class ServerTls(Section):
    """`[server.tls]`: the certificate this node presents; `client_ca` demands one of its clients (mTLS)."""

    certificate: Path = Field(
        description="PEM file with the certificate and those between it and its authority"
    )
    key: Path = Field(description="PEM file with its private key")
    client_ca: Path | None = Field(
        default=None, description="PEM file of the authority whose certificates clients present"
    )
    client_certificates: Literal["required", "optional"] = Field(
        default="required", description="whether a client without a certificate of client_ca is served"
    )
    client_keys: dict[str, str] = Field(
        default_factory=dict,
        description="whose key a client has that sends none, by a name in its certificate (CN, DNS, mail, URI)",
    )
    minimum: Literal["1.2", "1.3"] = Field(default="1.2", description="oldest version of TLS that is spoken")
    ciphers: str | None = Field(
        default=None, description="OpenSSL's list of ciphers of TLS 1.2; those of TLS 1.3 are fixed"
    )


class ServerSection(Section):
    """`[server]`."""

    host: str = Field(
        default="127.0.0.1", description="address to listen on; 0.0.0.0 is every address of this machine"
    )
    port: Port = Field(
        default=8080, description="of the Router, or of the one role that runs here; 0 takes a free one"
    )
    grpc_port: Port | None = Field(
        default=None, description="where roles ask this one when ipc.protocol is grpc"
    )
    workers: int = Field(default=1, ge=1, le=256, description="Router processes that share the port")
    max_body_bytes: int = Field(
        default=16 * 1024 * 1024, ge=1024, description="of one request; more is refused with 413"
    )
    max_body_values: int = Field(
        default=100_000,
        ge=1_000,
        description="values in the JSON of one request: its objects, its lists and what they hold; more is refused with 400; embeddings may always have 310,000",
    )
    body_timeout: Seconds = Field(default=60, description="for a request's body to arrive")
    keep_alive_timeout: Seconds = Field(
        default=75, description="of an idle connection, and for headers to arrive"
    )
    backlog: int = Field(default=2048, ge=1, description="connections that may wait to be accepted")
    drain_timeout: Seconds = Field(default=30, description="for requests under way when the node stops")
    drain_delay: float = Field(
        default=0,
        ge=0,
        le=3600,
        description="seconds between not ready and no longer listening, for a load balancer to see it",
    )
    cors_origins: tuple[str, ...] = Field(
        default=(),
        description="web pages that may ask from a browser, as in https://app.example.com; * is every page",
    )
    allowed_hosts: tuple[str, ...] = Field(
        default=(),
        description="names that a node without keys is called by, besides localhost; others are refused, as a page of a browser could be behind them",
    )
    public_url: str | None = Field(
        default=None,
        description="where browsers reach the Router, as in https://ai.example.com: people who sign in elsewhere are sent back there",
    )
    trusted_proxies: tuple[str, ...] = Field(
        default=(),
        description="addresses or networks of proxies before this node, as in 10.0.0.0/8: what they say in X-Forwarded-For of who asks is believed",
    )
    tls: ServerTls | None = None

    @field_validator("host")
    @classmethod
    def _listens(cls, value: str) -> str:
        if "/" in value or re.search(r"\s", value):
            raise ValueError("is an address or a name, without a scheme, as in 0.0.0.0")
        if value.startswith("["):
            raise ValueError("is an address or a name; one of IPv6 has no brackets here, as in ::1")
        if re.fullmatch(r"[^:]*:\d+", value):
            raise ValueError("is an address or a name; the port stands in server.port")
        return value

    @field_validator("allowed_hosts")
    @classmethod
    def _hosts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if wrong := [host for host in value if "/" in host or re.search(r"\s", host)]:
            raise ValueError(
                f"'{wrong[0][:60]}' is no name such as ai.example.com: without a scheme and a path"
            )
        return value

    @field_validator("cors_origins")
    @classmethod
    def _origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if wrong := [
            one for one in value if one not in ("*", "null", "file://") and not _is_origin(one.rstrip("/"))
        ]:
            raise ValueError(
                f"'{wrong[0][:60]}' is no origin such as https://app.example.com: scheme, host and perhaps a port"
            )
        return value

    @field_validator("public_url")
    @classmethod
    def _origin(cls, value: str | None) -> str | None:
        if value is None:
            return None
        if not value.startswith(("https://", "http://")) or not _is_origin(value.rstrip("/")):
            raise ValueError("is scheme, host and perhaps a port, as in https://ai.example.com")
        return value.rstrip("/")

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return networks(value)


def _is_origin(value: str) -> bool:
    """Whether it is as a browser says it: nothing follows the port."""
    try:
        split = urlsplit(value)
        _ = split.port
    except ValueError:
        return False
    plain = not (split.path or split.query or split.fragment or split.username or re.search(r"\s", value))
    return bool(split.scheme and split.hostname) and plain
