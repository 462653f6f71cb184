"""How roles trust one another by certificate (mTLS): each presents one of the authority `[ipc.security] ca` that names its role.

The role stands in the certificate as a name, `subjectAltName = DNS:router.role.intellirouter.internal`; a node that runs several
roles has several. It is a DNS name because that is the one kind every TLS library compares, gRPC's too. A server takes calls of roles from those that have business with it, and a client makes its call only to the role it
means. Clients with an API key need no certificate.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from intellirouter.config.schema.ipc import IpcSecurity
from intellirouter.errors import AuthenticationFailed, ConfigError
from intellirouter.security.errands import ERRANDS, callers_of
from intellirouter.security.own_certificate import load_own, told

ROLE_DOMAIN = "role.intellirouter.internal"


def role_name(role: str) -> str:
    """The DNS name that a certificate of this role has."""
    return f"{role.lower()}.{ROLE_DOMAIN}"


_KNOWN = frozenset(role for pair in ERRANDS for role in pair)
_ROLES = {role_name(role): frozenset({role}) for role in _KNOWN} | {f"*.{ROLE_DOMAIN}": _KNOWN}


@dataclass(frozen=True, slots=True)
class PeerTls:
    """What a client presents, and the role its server's certificate must name."""

    ca: Path
    certificate: Path
    key: Path
    role: str

    def stamp(self) -> tuple[float, ...]:
        """Changes when one of the files does; a file that is not there counts as 0."""
        return tuple(_changed(file) for file in (self.ca, self.certificate, self.key))


def _changed(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except OSError:
        return 0.0


def peer_tls(section: IpcSecurity, role: str) -> PeerTls | None:
    """For calls to `role`; None where roles do not trust one another by certificate."""
    if not section.enabled or section.ca is None or section.certificate is None or section.key is None:
        return None
    return PeerTls(section.ca, section.certificate, section.key, role)


def present(context: ssl.SSLContext, section: IpcSecurity | PeerTls) -> None:
    """Load the certificate of this node, again after it changed. Raises `ConfigError`."""
    if section.certificate is None:
        return
    try:
        load_own(context, section.certificate, section.key)
    except (OSError, ssl.SSLError) as cause:
        files = f"{section.certificate} and {section.key}"
        raise ConfigError(f"ipc.security: {files} cannot be used ({cause}).{told(cause, section)}") from cause


def trust(context: ssl.SSLContext, ca: Path) -> None:
    """Take certificates of this authority. Raises `ConfigError`."""
    try:
        context.load_verify_locations(ca)
    except (OSError, ssl.SSLError) as cause:
        raise ConfigError(f"ipc.security.ca: {ca} cannot be used ({cause}).") from cause


def roles_of(certificate: Mapping[str, Any] | None) -> frozenset[str]:
    """The roles that a verified certificate names, as `SSLObject.getpeercert` gives it."""
    names = (certificate or {}).get("subjectAltName", ())
    found = (_ROLES.get(value.lower(), frozenset()) for kind, value in names if kind == "DNS")
    return frozenset().union(*found)


def check_caller(certificate: Mapping[str, Any] | None, role: str) -> frozenset[str]:
    """The roles that the certificate names. Raises `AuthenticationFailed` unless one of them may call `role`."""
    if not certificate:
        raise AuthenticationFailed(
            "The call of another role was refused: it came without a certificate of ipc.security.ca."
        )
    named = roles_of(certificate)
    if not named & callers_of(role):
        shown = ", ".join(sorted(named)) or "no role"
        raise AuthenticationFailed(
            f"The call of another role was refused: its certificate names {shown}, and the {role} is called by "
            f"{', '.join(sorted(callers_of(role)))}."
        )
    return named


def check_server(certificate: Mapping[str, Any] | None, role: str) -> None:
    """Raises `ssl.SSLError` unless the certificate names `role`."""
    named = roles_of(certificate)
    if role not in named:
        shown = ", ".join(sorted(named)) or "no role"
        raise ssl.SSLError(f"its certificate names {shown}, not {role}")
