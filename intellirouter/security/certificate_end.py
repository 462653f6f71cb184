"""Until when a certificate of this node holds."""

from __future__ import annotations

import importlib
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

DAY = 86_400.0
SOON_DAYS, NEAR_DAYS, LAST_DAYS = 30.0, 7.0, 1.0
"""Days before its end at which a certificate is told of: in diagnose; in /health too; as something that must be done now."""

Urgency = Literal["", "soon", "near", "last", "over"]


@dataclass(frozen=True, slots=True)
class CertificateEnd:
    """The end of the first certificate of a file, in Unix seconds."""

    file: Path
    ends: float

    def urgency(self, now: float | None = None) -> Urgency:
        """How much it matters."""
        left = self.ends - (time.time() if now is None else now)
        if left <= 0:
            return "over"
        steps: tuple[tuple[float, Urgency], ...] = (
            (LAST_DAYS, "last"),
            (NEAR_DAYS, "near"),
            (SOON_DAYS, "soon"),
        )
        return next((word for days, word in steps if left <= days * DAY), "")

    def told(self, now: float | None = None) -> str:
        """In words."""
        left = self.ends - (time.time() if now is None else now)
        if left <= 0:
            return f"{self.file} has expired"
        return (
            f"{self.file} ends in {left / DAY:.1f} days"
            if left < 10 * DAY
            else f"{self.file} ends in {left / DAY:.0f} days"
        )


def end_of(file: Path) -> CertificateEnd:
    """The end of the certificate a PEM file begins with. Raises `OSError`, `ValueError` for what is none."""
    x509 = importlib.import_module("cryptography.x509")  # takes long, and a node may have none
    certificate = x509.load_pem_x509_certificates(file.read_bytes())[0]
    return CertificateEnd(file, certificate.not_valid_after_utc.timestamp())
