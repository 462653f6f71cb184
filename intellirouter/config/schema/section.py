"""What every section shares."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Seconds = Annotated[float, Field(gt=0, le=86_400 * 365)]
"""A duration in seconds."""

Port = Annotated[int, Field(ge=0, le=65_535)]
"""A TCP port; 0 asks the system for a free one."""


def _http(value: str) -> str:
    if not value.startswith(("http://", "https://")):
        raise ValueError("must start with http:// or https://")
    return value


HttpUrl = Annotated[str, AfterValidator(_http)]
"""Where a server is."""

OptionalUrl = Annotated[str | None, AfterValidator(lambda value: _http(value) if value else value)]
"""The same; an empty one takes back what another source says."""


class Section(BaseModel):
    """A frozen table that knows its keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, str_strip_whitespace=True)
