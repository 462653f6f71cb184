"""Backups wherever rclone (rclone.org) can write: `rclone:REMOTE:PATH`, as its own configuration names it.

The program does the work; it retries and times out by its own settings.
"""

from __future__ import annotations

import contextlib
import fnmatch
import os
import subprocess
from collections.abc import Iterator
from typing import IO, Any, Literal

import msgspec

from intellirouter.config import env
from intellirouter.config.shown import without_names
from intellirouter.errors import InvalidRequest, StateUnavailable
from intellirouter.ops.backup.remote import RemoteDirectory, RemoteFile, by_parts

SCHEME = "rclone:"
SECONDS = 3600.0
"""For one call: a whole archive may be sent in it."""
_NOT_FOUND = (3, 4)
"""Exit codes of rclone: a directory, a file that is not there."""


class RcloneDirectory(RemoteDirectory):
    """A directory of a remote. See `place.Directory`."""

    def __init__(self, remote: str) -> None:
        self.remote = remote

    @classmethod
    def at(cls, address: str) -> RcloneDirectory:
        """Of an address. Raises `InvalidRequest`."""
        remote = address.removeprefix(SCHEME).rstrip("/")
        name, colon, _ = remote.partition(":")
        if not colon or not name or name.startswith("-"):
            raise InvalidRequest(
                f"{without_names(address)}: is no rclone:REMOTE:PATH; `rclone listremotes` says which there are."
            )
        return cls(remote)

    def __str__(self) -> str:
        return f"{SCHEME}{self.remote}"

    def __truediv__(self, name: str) -> RcloneFile:
        return RcloneFile(self, name)

    def folder(self, name: str) -> RcloneDirectory:
        """See `RemoteDirectory.folder`."""
        return RcloneDirectory(f"{self.remote}{'' if self.remote.endswith(':') else '/'}{name}")

    def glob(self, pattern: str) -> Iterator[RcloneFile]:
        """See `RemoteDirectory.glob`."""
        try:
            listed = _rclone("lsjson", "--files-only", "--no-mimetype", "--no-modtime", self.remote)
        except FileNotFoundError:
            return
        for entry in sorted(
            msgspec.json.decode(listed, type=list[dict[str, Any]]), key=lambda one: one["Name"]
        ):
            if fnmatch.fnmatchcase(entry["Name"], pattern):
                yield RcloneFile(self, entry["Name"], entry["Size"])


class RcloneFile(RemoteFile):
    """One file of a remote. See `place.File`."""

    parent: RcloneDirectory

    @property
    def _path(self) -> str:
        return self.parent.folder(self.name).remote

    def _ask_size(self) -> int:
        for entry in msgspec.json.decode(_rclone("lsjson", self._path), type=list[dict[str, Any]]):
            return int(entry["Size"])
        raise FileNotFoundError(2, "there is no such file", str(self))

    def open(self, mode: Literal["rb"]) -> IO[bytes]:  # noqa: ARG002  as `Path` has it
        """See `RemoteFile.open`."""
        self._ask_size()
        return by_parts(self, 32 << 20)

    def read_at(self, at: int, length: int) -> bytes:
        """See `RemoteFile.read_at`."""
        return _rclone("cat", f"--offset={at}", f"--count={length}", self._path) if length > 0 else b""

    def unlink(self) -> None:
        """See `RemoteFile.unlink`."""
        _rclone("deletefile", self._path)

    def create(self, data: bytes) -> bool:
        """See `place.create`. Few remotes can say no to the second of two at once: the one that came last stays then."""
        with contextlib.suppress(FileNotFoundError):
            self._ask_size()
            return False
        _rclone("rcat", self._path, data=data)
        return True

    @contextlib.contextmanager
    def writing(self) -> Iterator[IO[bytes]]:
        """See `place.writing`: rclone shows a file when it is whole, and is ended when ours is not."""
        partial = self.parent.folder(f".{self.name}.{os.getpid()}.partial").remote
        with _program("rcat", partial, stdin=subprocess.PIPE) as process:
            stream = process.stdin
            if stream is None:  # it was asked for
                raise StateUnavailable("rclone takes nothing")
            try:
                yield stream
                stream.close()
            except BrokenPipeError as cause:
                raise _failure(process.wait(SECONDS), process.stderr, self._path) from cause
            except BaseException:
                process.kill()
                raise
            if code := process.wait(SECONDS):
                raise _failure(code, process.stderr, self._path)
        # some remotes show a file while it comes: it gets its name when it is whole
        _rclone("moveto", partial, self._path)


def _rclone(*words: str, data: bytes | None = None) -> bytes:
    with _program(*words, stdin=subprocess.PIPE) as process:
        try:
            out, said = process.communicate(data, SECONDS)
        except subprocess.TimeoutExpired as cause:
            process.kill()
            raise StateUnavailable(f"rclone {words[0]} did not end within {SECONDS:g} s") from cause
    if process.returncode:
        raise _failed(process.returncode, said, words[-1])
    return out


def _program(*words: str, stdin: int) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(  # noqa: S603  our own words, no shell
            ["rclone", *words],  # noqa: S607  where the system has it
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=env.for_child(prefix="RCLONE"),
        )
    except FileNotFoundError as cause:
        raise InvalidRequest("rclone is not installed: apt-get install rclone") from cause


def _failure(code: int, stderr: IO[bytes] | None, path: str) -> Exception:
    return _failed(code, stderr.read() if stderr is not None else b"", path)


def _failed(code: int, said: bytes, path: str) -> Exception:
    if code in _NOT_FOUND:
        return FileNotFoundError(2, "there is no such file", f"{SCHEME}{path}")
    words = said.decode(errors="replace").strip().splitlines()
    return StateUnavailable(f"{SCHEME}{path}: {words[-1][:300] if words else f'rclone ended with {code}'}")
