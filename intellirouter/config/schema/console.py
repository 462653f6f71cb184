"""`[console]`: the web console on the Router's port."""

from __future__ import annotations

from pydantic import Field

from intellirouter.config.schema.section import Section


class ConsoleSection(Section):
    """`[console]`. On by default; it shows nobody more than their key may see."""

    enabled: bool = Field(default=True, description="serve the web console at /console on the Router's port")
    session_hours: float = Field(
        default=12, gt=0, le=24 * 31, description="hours after which a sign-in that was not used ends"
    )
