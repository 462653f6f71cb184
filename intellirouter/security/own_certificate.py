"""The certificate that a node shows, and its key."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Protocol


def load_own(context: ssl.SSLContext, certificate: Path, key: Path | None) -> None:
    """Show them from now on. Raises `OSError`, of which `ssl.SSLError` is one; nobody is asked for a passphrase at a terminal."""
    context.load_cert_chain(certificate, key, password="")


def remedy(certificate: Path, key: Path) -> str:
    """What to do about two files that OpenSSL does not take, by what they hold."""
    held, own = certificate.read_bytes(), key.read_bytes()
    if b"-----BEGIN CERTIFICATE" not in held:
        if b"-----BEGIN CERTIFICATE" in own and b"PRIVATE KEY-----" in held:
            return "They are the wrong way round: 'certificate' names the key, and 'key' the certificate."
        return f"{certificate} holds no certificate: put the PEM file there, with those between it and its authority."
    if b"PRIVATE KEY-----" not in own:
        return f"{key} holds no private key: put its PEM file there."
    if b"ENCRYPTED" in own:
        return f"{key} is locked by a passphrase: store it without (openssl pkey -in … -out …), readable for the node alone."
    return "Put both PEM files there."


class Named(Protocol):
    """Whatever names the two files."""

    @property
    def certificate(self) -> Path | None:
        """PEM."""

    @property
    def key(self) -> Path | None:
        """PEM."""


def told(cause: OSError, section: Named) -> str:
    """What to do about files that are there and are not taken, behind a blank; nothing of others."""
    if not isinstance(cause, ssl.SSLError) or section.certificate is None or section.key is None:
        return ""
    return f" {remedy(section.certificate, section.key)}"
