"""Whether what the node keeps is encrypted, and who did what is written down."""

from __future__ import annotations

from collections.abc import Iterator

from intellirouter.config.schema.settings import Settings
from intellirouter.counts import counted
from intellirouter.ops.diagnose.finding import Finding, Level
from intellirouter.security.audit.journal import FOLDER
from intellirouter.security.sealing import sealer_of

_PLAIN = "names of collections and chains, personas and the audit are not"


def at_rest(settings: Settings) -> Iterator[Finding]:
    """What is encrypted on the disk, and with which key."""
    yield _audit(settings)
    sealer = sealer_of(settings.security)
    if sealer is None:
        yield Finding(
            "install", "encryption", Level.OK, "none: what is kept is readable to whoever reads the disk"
        )
        return
    more = f"; {counted(len(sealer.names) - 1, 'key')} from before" if len(sealer.names) > 1 else ""
    advice = "intellirouter keys rotate-master, then take previous_keys out." if more else ""
    told = f"conversations, answers, documents, people, chains and content are encrypted with key {sealer.current_name}{more}; {_PLAIN}"
    yield Finding("install", "encryption", Level.OK, told, advice)


def _audit(settings: Settings) -> Finding:
    section = settings.auth.audit
    if section.level == "off":
        return Finding("install", "audit", Level.OK, "off: nothing says who did what")
    directory = section.directory or settings.paths.data_dir / FOLDER
    if section.key is None:
        told = f"level {section.level} in {directory}, signed with a key that lies beside the records"
        return Finding(
            "install",
            "audit",
            Level.OK,
            told,
            "[auth.audit] key, kept elsewhere, keeps them from being forged.",
        )
    return Finding(
        "install", "audit", Level.OK, f"level {section.level} in {directory}", "intellirouter audit verify"
    )
