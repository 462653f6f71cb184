"""The certificates this node presents: whether they fit their keys, and how long they hold."""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from intellirouter.config.schema.settings import Settings
from intellirouter.ops.diagnose.finding import Finding, Level
from intellirouter.security.certificate_end import DAY, LAST_DAYS, SOON_DAYS
from intellirouter.security.own_certificate import load_own, remedy

_EXPIRED, _NOT_YET = 10, 9
"""OpenSSL's X509_V_ERR_CERT_HAS_EXPIRED and X509_V_ERR_CERT_NOT_YET_VALID."""


def own_certificates(settings: Settings) -> Iterator[Finding]:
    """A finding on each certificate that the configuration names."""
    tls, security, memory = settings.server.tls, settings.ipc.security, settings.memory
    named = [
        ("server.tls", tls.certificate if tls else None, tls.key if tls else None),
        ("ipc.security", security.certificate, security.key),
        ("memory.redis", memory.redis_certificate, memory.redis_key),
    ]
    for name, certificate, key in named:
        if certificate is not None and key is not None:
            yield _examined(f"certificate {name}", certificate, key)


def _examined(name: str, certificate: Path, key: Path) -> Finding:
    try:
        end = ends(certificate, key)
    except PermissionError as error:
        place = error.filename or certificate
        return Finding(
            "install",
            name,
            Level.PROBLEM,
            f"{place} may not be read by the user who asks",
            "chown, or chmod.",
        )
    except ssl.SSLCertVerificationError as error:
        told = {_EXPIRED: "has expired", _NOT_YET: "is not valid yet"}.get(
            error.verify_code, error.verify_message
        )
        advice = (
            "Renew it, then reload."
            if error.verify_code == _EXPIRED
            else "Look at the clock and the certificate."
        )
        return Finding("install", name, Level.PROBLEM, f"{certificate} {told}", advice)
    except ssl.SSLError as error:
        why = (
            "the key is not that of the certificate"
            if "MISMATCH" in str(error).upper()
            else error.reason or str(error)
        )
        return Finding(
            "install",
            name,
            Level.PROBLEM,
            f"{certificate} and {key} cannot be used: {why}",
            remedy(certificate, key),
        )
    except OSError as error:
        return Finding(
            "install",
            name,
            Level.PROBLEM,
            f"{error.filename or certificate}: {error.strerror}",
            "Correct the path.",
        )
    left = end - time.time()
    told = f"{certificate} is valid for {left / 86_400:.0f} days"
    if left < LAST_DAYS * DAY:
        return Finding(
            "install", name, Level.PROBLEM, told, "Renew it now; a running node takes it by itself."
        )
    if left < SOON_DAYS * DAY:
        return Finding("install", name, Level.WARNING, told, "Renew it; a running node takes it by itself.")
    return Finding("install", name, Level.OK, told)


def authorities(settings: Settings) -> Iterator[Finding]:
    """Those of the files that name whom this node trusts which cannot do so."""
    tls = settings.server.tls
    named = [
        ("server.tls.client_ca", tls.client_ca if tls else None),
        ("ipc.security.ca", settings.ipc.security.ca),
        ("memory.redis_ca", settings.memory.redis_ca),
        ("telemetry.loki.ca", settings.telemetry.loki.ca),
        ("telemetry.syslog.ca", settings.telemetry.syslog.ca),
    ]
    for name, file in named:
        if file is None:
            continue
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(file)
        except ssl.SSLError as error:
            told, advice = (
                f"{file} names no authority ({error.reason or error})",
                "Put its PEM certificate there.",
            )
        except OSError as error:
            told, advice = f"{file}: {error.strerror}", "Correct the path, or who may read it."
        else:
            continue
        yield Finding("install", f"authority {name}", Level.PROBLEM, told, advice)


def ends(certificate: Path, key: Path) -> float:
    """The Unix time at which a certificate ends. Raises as `presented`."""
    return float(ssl.cert_time_to_seconds(str(presented(certificate, key)["notAfter"])))


def presented(certificate: Path, key: Path) -> Mapping[str, Any]:
    """What a peer sees of a certificate, as `SSLObject.getpeercert` gives it.

    Python decodes a certificate only as a peer's, so one is presented and looked at, in memory and by nobody else.
    Raises `ssl.SSLCertVerificationError` when it does not hold now, `ssl.SSLError` or `OSError` when it cannot be used.
    """
    certificate.read_bytes(), key.read_bytes()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    load_own(server, certificate, key)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.load_verify_locations(certificate)
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # the certificate itself is the authority
    client.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", 0)
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    one = client.wrap_bio(back, there)
    other = server.wrap_bio(there, back, server_side=True)
    for _ in range(10):
        done = [_step(side) for side in (one, other)]
        if done[0]:
            return one.getpeercert() or {}
    raise ssl.SSLError("it could not be presented")


def _step(side: ssl.SSLObject) -> bool:
    """Go on with a handshake as far as the other side has spoken; True when it is done."""
    try:
        side.do_handshake()
    except ssl.SSLWantReadError:
        return False
    return True
