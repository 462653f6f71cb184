"""Whether what the node keeps is encrypted."""

from __future__ import annotations

from collections.abc import Iterator

from intellirouter.config.schema.settings import Settings
from intellirouter.ops.diagnose.finding import Finding, Level
from intellirouter.security.sealing import sealer_of

_PLAIN = "texts of documents and payloads of chains are not"


def at_rest(settings: Settings) -> Iterator[Finding]:
    """What is encrypted on the disk, and with which key."""
    sealer = sealer_of(settings.security)
    if sealer is None:
        yield Finding(
            "install", "encryption", Level.OK, "none: what is kept is readable to whoever reads the disk"
        )
        return
    more = f"; {len(sealer.names) - 1} keys from before" if len(sealer.names) > 1 else ""
    advice = "intellirouter keys rotate-master, then take previous_keys out." if more else ""
    told = f"conversations, answers and content are encrypted with key {sealer.current_name}{more}; {_PLAIN}"
    yield Finding("install", "encryption", Level.OK, told, advice)
