"""The journal that a configuration asks for."""

from __future__ import annotations

from pathlib import Path

from intellirouter.config.schema.audit import AuditSection
from intellirouter.security.audit.journal import FOLDER, Journal


def journal_of(section: AuditSection, data_dir: Path) -> Journal:
    """The journal of this node. Raises `AuditUnavailable`."""
    key = section.key.get_secret_value().encode() if section.key is not None else None
    return Journal(section.directory or data_dir / FOLDER, key, section.retention_days).open()
