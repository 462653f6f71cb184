"""`[paths]`: where this node keeps what it must not lose."""

from __future__ import annotations

from pathlib import Path

import platformdirs
from pydantic import Field

from intellirouter.config.schema.section import Section

INSTALLED_DATA_DIR = Path("/opt/intellirouter/data")


def default_data_dir() -> Path:
    """The installed node's data directory where it exists, else the platform's user data folder."""
    if INSTALLED_DATA_DIR.is_dir():
        return INSTALLED_DATA_DIR
    return Path(platformdirs.user_data_dir("intellirouter", appauthor=False))


class PathsSection(Section):
    """`[paths]`."""

    data_dir: Path = Field(
        default_factory=default_data_dir,
        description="what this node must not lose: state, documents, personas, runs",
    )
