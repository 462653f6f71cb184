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


def write(target: Path, files: Mapping[str, bytes]) -> None:
    """A `.tar.gz` readable by its owner only. Raises `OSError`; no half file stays."""
    partial = target.with_name(target.name + ".partial")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as stream, tarfile.open(fileobj=stream, mode="w:gz") as archive:
            for name, data in files.items():
                entry = tarfile.TarInfo(f"intellirouter-diagnose/{name}")
                entry.size, entry.mtime, entry.mode = len(data), int(time.time()), 0o600
                archive.addfile(entry, io.BytesIO(data))
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
