"""TLS contexts for what this node serves."""

from __future__ import annotations

import ssl

from intellirouter.config.schema.ipc import IpcSecurity
from intellirouter.config.schema.server import ServerTls
from intellirouter.errors import ConfigError
from intellirouter.security.own_certificate import load_own, told
from intellirouter.security.peer_certificates import present, trust


def server_context(section: ServerTls | None, security: IpcSecurity) -> ssl.SSLContext | None:
    """A context that presents the node's certificate, and asks one of its clients where `client_ca` is set.

    Where roles trust one another by certificate, one of `[ipc.security] ca` is asked for too, and who has none is served all the
    same: the gatekeeper decides what for. None where the node serves plain HTTP. Raises `ConfigError` that names the
    file which cannot be used.
    """
    by_certificate = security.enabled and security.ca is not None
    if section is None and not by_certificate:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    minimum = section.minimum if section is not None else "1.3"
    context.minimum_version = ssl.TLSVersion.TLSv1_3 if minimum == "1.3" else ssl.TLSVersion.TLSv1_2
    if section is not None and section.ciphers is not None:
        try:
            context.set_ciphers(section.ciphers)
        except ssl.SSLError as cause:
            raise ConfigError("server.tls.ciphers: names no cipher that this OpenSSL has.") from cause
    context.set_alpn_protocols(["http/1.1"])
    load_certificate(context, section, security)
    if by_certificate and security.ca is not None:
        trust(context, security.ca)
        context.verify_mode = ssl.CERT_OPTIONAL
    if section is not None and section.client_ca is not None:
        try:
            context.load_verify_locations(section.client_ca)
        except (OSError, ssl.SSLError) as cause:
            raise ConfigError(
                f"server.tls.client_ca: {section.client_ca} cannot be used ({cause})."
            ) from cause
        required = section.client_certificates == "required"
        context.verify_mode = ssl.CERT_REQUIRED if required else ssl.CERT_OPTIONAL
    return context


def load_certificate(context: ssl.SSLContext, section: ServerTls | None, security: IpcSecurity) -> None:
    """Read the certificate again; connections accepted from now on present it."""
    if section is None:
        present(context, security)
        return
    try:
        load_own(context, section.certificate, section.key)
    except (OSError, ssl.SSLError) as cause:
        files = f"{section.certificate} and {section.key}"
        raise ConfigError(f"server.tls: {files} cannot be used ({cause}).{told(cause, section)}") from cause
