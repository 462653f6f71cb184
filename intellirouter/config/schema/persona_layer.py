"""`[persona_layer]`: system prompts and personas."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from intellirouter.config.schema.section import Seconds, Section


class PersonaLayerSection(Section):
    """`[persona_layer]`. Without `personas_path`, `personas` in the data directory."""

    enabled: bool = Field(default=True, description="false leaves the PersonaLayer out of --role All")
    personas_path: Path | None = Field(
        default=None, description="directory of persona files; absent: personas in the data directory"
    )
    reload_seconds: Seconds = Field(default=2, description="between looks for files that were changed")
