"""Backups on a server by SFTP: `sftp://USER@HOST:PORT/DIRECTORY`. Keys, agent and known hosts are those of the user's ssh.

A host that the user's `known_hosts` does not hold is refused: connect with `ssh` once. A directory that begins with `/~/` is the
user's own there.
"""

from __future__ import annotations

import contextlib
import errno
import fnmatch
import functools
import getpass
import importlib
import os
import posixpath
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Literal
from urllib.parse import unquote, urlsplit

from intellirouter.config import env
from intellirouter.config.shown import without_names
from intellirouter.errors import InvalidRequest, StateUnavailable
from intellirouter.ops.backup.remote import RemoteDirectory, RemoteFile, by_parts

SCHEME = "sftp://"
SECONDS = 60
"""For a connection, and for each answer."""


class SftpDirectory(RemoteDirectory):
    """A directory there. See `place.Directory`."""

    def __init__(self, address: str, server: _Server, path: str) -> None:
        self._address, self.server, self.path = address, server, path

    @classmethod
    def at(cls, address: str) -> SftpDirectory:
        """Of an address. Connects to nothing yet. Raises `InvalidRequest`."""
        try:
            parts = urlsplit(address)
            port = parts.port or 22
        except ValueError:
            parts, port = urlsplit(""), 0
        if not parts.hostname or parts.password or parts.query or parts.fragment or not parts.path.strip("/"):
            raise InvalidRequest(
                f"{without_names(address)}: is no sftp://USER@HOST/DIRECTORY (keys of ssh open it)."
            )
        path = unquote(parts.path).rstrip("/")
        path = path.removeprefix("/~/") if path.startswith("/~/") else path
        user = unquote(parts.username) if parts.username else getpass.getuser()
        return cls(address.rstrip("/"), _server(user, parts.hostname, port), path)

    def __str__(self) -> str:
        return self._address

    def __truediv__(self, name: str) -> SftpFile:
        return SftpFile(self, name)

    def folder(self, name: str) -> SftpDirectory:
        """See `RemoteDirectory.folder`."""
        return SftpDirectory(f"{self}/{name}", self.server, posixpath.join(self.path, name))

    def glob(self, pattern: str) -> Iterator[SftpFile]:
        """See `RemoteDirectory.glob`."""
        with self.server.errors(str(self)):
            try:
                entries = self.server.client().listdir_attr(self.path)
            except FileNotFoundError:
                return
        for entry in sorted(entries, key=lambda entry: str(entry.filename)):
            if fnmatch.fnmatchcase(entry.filename, pattern) and stat.S_ISREG(entry.st_mode or 0):
                yield SftpFile(self, entry.filename, entry.st_size)

    def make(self) -> None:
        """Let it be there, and what it lies in."""
        client = self.server.client()
        path = ""
        for part in self.path.split("/"):
            path = f"{path}{part}" if not path else posixpath.join(path, part)
            path = path or "/"
            try:
                client.stat(path)
            except FileNotFoundError:
                with contextlib.suppress(OSError):  # another made it meanwhile; if not, the write says so
                    client.mkdir(path, 0o700)


class SftpFile(RemoteFile):
    """One file there. See `place.File`."""

    parent: SftpDirectory

    @property
    def _path(self) -> str:
        return posixpath.join(self.parent.path, self.name)

    def _ask_size(self) -> int:
        with self.parent.server.errors(str(self)):
            return int(self.parent.server.client().stat(self._path).st_size)

    def open(self, mode: Literal["rb"]) -> IO[bytes]:  # noqa: ARG002  as `Path` has it
        """See `RemoteFile.open`."""
        self._ask_size()
        return by_parts(self)

    def read_at(self, at: int, length: int) -> bytes:
        """See `RemoteFile.read_at`."""
        with self.parent.server.errors(str(self)), self.parent.server.client().open(self._path, "rb") as file:
            file.seek(at)
            if length > 1 << 16:
                file.prefetch(at + length)
            data: bytes = file.read(length)
        return data

    def unlink(self) -> None:
        """See `RemoteFile.unlink`."""
        with self.parent.server.errors(str(self)):
            self.parent.server.client().remove(self._path)

    def create(self, data: bytes) -> bool:
        """See `place.create`."""
        with self.parent.server.errors(str(self)):
            self.parent.make()
            partial = self._partial()
            client = self.parent.server.client()
            with client.open(partial, "wb") as file:
                file.write(data)
            try:
                # by the protocol a rename replaces nothing
                client.rename(partial, self._path)
            except OSError:
                client.remove(partial)
                client.stat(self._path)  # that it is there was the reason, or this raises
                return False
        return True

    @contextlib.contextmanager
    def writing(self) -> Iterator[IO[bytes]]:
        """See `place.writing`."""
        client, partial = self.parent.server.client(), self._partial()
        with self.parent.server.errors(str(self)):
            self.parent.make()
            try:
                with client.open(partial, "wb") as file:
                    file.set_pipelined(pipelined=True)
                    yield file
                client.posix_rename(partial, self._path)
            except BaseException:
                with contextlib.suppress(OSError):  # what went wrong before is what is told
                    client.remove(partial)
                raise

    def _partial(self) -> str:
        return posixpath.join(self.parent.path, f".{self.name}.{os.getpid()}.partial")


class _Server:
    """One connection, made when it is needed and kept for the process."""

    def __init__(self, user: str, host: str, port: int) -> None:
        self._user, self._host, self._port = user, host, port
        self._ssh: Any = None
        self._sftp: Any = None

    def client(self) -> Any:
        """paramiko's client of the connection. Raises `StateUnavailable`, `InvalidRequest` without the package."""
        if self._sftp is not None and self._ssh.get_transport().is_active():
            return self._sftp
        try:
            paramiko = importlib.import_module("paramiko")
        except ModuleNotFoundError as cause:
            raise InvalidRequest(
                f"{self}: SFTP needs another package: pip install 'intellirouter[sftp]'"
            ) from cause
        self._ssh = paramiko.SSHClient()
        self._ssh.load_system_host_keys()
        self._ssh.set_missing_host_key_policy(paramiko.RejectPolicy())
        with self.errors(str(self)):
            self._ssh.connect(
                self._host,
                self._port,
                self._user,
                key_filename=_keys(),
                timeout=SECONDS,
                banner_timeout=SECONDS,
                auth_timeout=SECONDS,
            )
            self._ssh.get_transport().set_keepalive(30)
            self._sftp = self._ssh.open_sftp()
            self._sftp.get_channel().settimeout(SECONDS)
        return self._sftp

    @contextlib.contextmanager
    def errors(self, address: str) -> Iterator[None]:
        """What went wrong, in one line and with the address."""
        paramiko = importlib.import_module("paramiko")
        try:
            yield
        except paramiko.BadHostKeyException as cause:
            raise StateUnavailable(
                f"{address}: the host's key is not the one that known_hosts has."
            ) from cause
        except (paramiko.SSHException, EOFError, TimeoutError) as cause:
            raise StateUnavailable(f"{address}: {str(cause) or 'the connection broke off'}") from cause
        except OSError as cause:
            if cause.filename is None:  # of the server or of the network: neither says which file
                number = cause.errno if cause.errno is not None else errno.EIO
                words = cause.strerror or (os.strerror(number) if cause.errno is not None else str(cause))
                raise OSError(number, words, address) from cause
            raise

    def __str__(self) -> str:
        return f"{SCHEME}{self._user}@{self._host}:{self._port}"


def _keys() -> list[str] | None:
    """The keys of the service, where its environment names them."""
    named = env.current().get("INTELLIROUTER_SSH_KEY")
    return [str(Path(named).expanduser())] if named else None


@functools.lru_cache(maxsize=16)
def _server(user: str, host: str, port: int) -> _Server:
    return _Server(user, host, port)
