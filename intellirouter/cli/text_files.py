"""Files that a command is given to read."""

from __future__ import annotations

from pathlib import Path

from intellirouter.errors import InvalidRequest, NotFound


def text_of(file: Path, hint: str = "") -> str:
    """What a file says. `hint` is said where there is none. Raises `NotFound`, `InvalidRequest`."""
    try:
        return file.read_text("utf-8")
    except OSError as cause:
        more = f" {hint}" if hint and isinstance(cause, FileNotFoundError) else ""
        raise NotFound(f"{file} cannot be read ({cause.strerror}).{more}") from cause
    except UnicodeDecodeError as cause:
        raise InvalidRequest(f"{file} is not UTF-8 text.") from cause
