"""One file for whoever helps: the findings, the configuration and the end of the log, without a secret."""

from __future__ import annotations

import io
import os
import tarfile
import time
from collections.abc import Mapping
from pathlib import Path

import msgspec

from intellirouter.config.load import Loaded
from intellirouter.config.redact import SECRET_NAME, Redactor
from intellirouter.config.shown import MASK, flatten
from intellirouter.errors import IntelliRouterError


def contents(report: bytes, loaded: Loaded | None, log: str, clean: Redactor) -> dict[str, bytes]:
    """File name to bytes, each passed through `clean`."""
    files = {"report.json": report.decode(), "log.txt": log}
    if loaded is not None:
        values = {
            path: {"value": _value(path, value, clean), "source": clean(loaded.source_of(path))}
            for path, value in flatten(loaded.settings)
        }
        files["config.json"] = msgspec.json.format(msgspec.json.encode(values)).decode()
    return {name: text.encode() for name, text in files.items()}


def _value(path: str, value: object, clean: Redactor) -> object:
    if not isinstance(value, str):
        return value
    return MASK if SECRET_NAME.search(path) and value else clean(value)


class BundleFile:
    """A `.tar.gz` readable by its owner only, opened before the process takes on another user, written in one piece.

    Raises `IntelliRouterError` where it cannot be written.
    """

    def __init__(self, target: Path) -> None:
        self._target = target
        try:
            descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            os.fchmod(descriptor, 0o600)
        except OSError as cause:
            raise IntelliRouterError(f"{target}: cannot be written ({cause.strerror}).") from cause
        self._stream = os.fdopen(descriptor, "wb")

    def write(self, files: Mapping[str, bytes]) -> None:
        """The files, and close it."""
        whole = io.BytesIO()
        with tarfile.open(fileobj=whole, mode="w:gz") as archive:
            for name, data in files.items():
                entry = tarfile.TarInfo(f"intellirouter-diagnose/{name}")
                entry.size, entry.mtime, entry.mode = len(data), int(time.time()), 0o600
                archive.addfile(entry, io.BytesIO(data))
        try:
            with self._stream:
                self._stream.write(whole.getvalue())
        except OSError as cause:
            raise IntelliRouterError(f"{self._target}: cannot be written ({cause.strerror}).") from cause
