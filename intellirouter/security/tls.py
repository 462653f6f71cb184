"""TLS contexts for what this node serves."""

from __future__ import annotations

import ssl

from intellirouter.config.schema.server import ServerTls
from intellirouter.errors import ConfigError


def server_context(section: ServerTls) -> ssl.SSLContext:
    """A context that presents the node's certificate, and demands one of its clients where `client_ca` is set.

    Raises `ConfigError` that names the file which cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3 if section.minimum == "1.3" else ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    load_certificate(context, section)
    if section.client_ca is not None:
        try:
            context.load_verify_locations(section.client_ca)
        except (OSError, ssl.SSLError) as cause:
            raise ConfigError(
                f"server.tls.client_ca: {section.client_ca} cannot be used ({cause})."
            ) from cause
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def load_certificate(context: ssl.SSLContext, section: ServerTls) -> None:
    """Read the certificate again; connections accepted from now on present it."""
    try:
        context.load_cert_chain(section.certificate, section.key)
    except (OSError, ssl.SSLError) as cause:
        files = f"{section.certificate} and {section.key}"
        raise ConfigError(f"server.tls: {files} cannot be used ({cause}).") from cause
