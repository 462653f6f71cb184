"""Files that a command is given to read."""

from __future__ import annotations

from pathlib import Path

from intellirouter.errors import InvalidRequest, NotFound


def text_of(file: Path) -> str:
    """What a file says. Raises `NotFound`, `InvalidRequest`."""
    try:
        return file.read_text("utf-8")
    except OSError as cause:
        raise NotFound(f"{file} cannot be read ({cause.strerror}).") from cause
    except UnicodeDecodeError as cause:
        raise InvalidRequest(f"{file} is not UTF-8 text.") from cause
