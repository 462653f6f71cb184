"""What every section shares."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Seconds = Annotated[float, Field(gt=0, le=86_400 * 365)]
"""A duration in seconds."""

Port = Annotated[int, Field(ge=0, le=65_535)]
"""A TCP port; 0 asks the system for a free one."""


class Section(BaseModel):
    """A frozen table that knows its keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, str_strip_whitespace=True)
