"""Secrets of this machine: files, variables, systemd's credentials, the output of programs."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

from intellirouter.config import env
from intellirouter.config.env import Environment
from intellirouter.config.sources.reference import Reference, SourceFailed, Value

MOST_BYTES = 64 << 10


def read_file(place: Reference, seconds: float) -> Value:
    """The file's text without the line end at its end. Raises `SourceFailed`."""
    return Value(_text(Path(place.path).expanduser()), seconds)


def read_credential(place: Reference, environment: Environment) -> Value:
    """A credential that systemd gave the unit (systemd.exec(5), LoadCredential=). Raises `SourceFailed`."""
    folder = environment.get("CREDENTIALS_DIRECTORY")
    if not folder:
        raise SourceFailed(
            "no CREDENTIALS_DIRECTORY: this process was given no credentials by systemd (LoadCredential=)"
        )
    if "/" in place.path or place.path in (".", ".."):
        raise SourceFailed("a credential's name holds no /")
    return Value(_text(Path(folder) / place.path))


def read_variable(place: Reference, environment: Environment) -> Value:
    """Raises `SourceFailed`."""
    value = environment.get(place.path)
    if not value:
        raise SourceFailed(f"the environment has no {place.path}")
    return Value(value)


def read_program(place: Reference, seconds: float, timeout: float) -> Value:
    """What the program writes, without the line end at its end. It is told none of this process' secrets. Raises `SourceFailed`."""
    try:
        words = list(place.words) or shlex.split(place.path)
        done = subprocess.run(  # noqa: S603  the operator's own words, from the operator's own file
            words,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=timeout,
            env=env.for_child(),
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise SourceFailed(f"does not end within {timeout:g} s") from error
    except (OSError, ValueError) as error:
        raise SourceFailed(getattr(error, "strerror", None) or "is no command line") from error
    if done.returncode:
        raise SourceFailed(f"ended with code {done.returncode}")
    return Value(_decoded(done.stdout), seconds)


def _text(file: Path) -> str:
    try:
        with file.open("rb") as handle:
            data = handle.read(MOST_BYTES + 1)
    except OSError as error:
        raise SourceFailed(error.strerror or "cannot be read") from error
    return _decoded(data)


def _decoded(data: bytes) -> str:
    if len(data) > MOST_BYTES:
        raise SourceFailed(f"is longer than {MOST_BYTES} bytes")
    try:
        text = data.decode().rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise SourceFailed("is not UTF-8 text") from error
    if not text:
        raise SourceFailed("is empty")
    return text
