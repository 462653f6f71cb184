"""`[persona_layer]`: system prompts and personas."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from intellirouter.config.schema.section import Seconds, Section


class PersonaLayerSection(Section):
    """`[persona_layer]`. Without `personas_path`, `personas` in the data directory."""

    enabled: bool = True
    personas_path: Path | None = None
    reload_seconds: Seconds = Field(default=2, description="between looks for files that were changed")
