"""What is said to an IMAP server. Blocking; a session is used by one thread at a time, and `cut` ends it from another.

A server is not believed: what one answer may hold is counted, names with control characters are not sent back, and what it says is
shown shortened and without the password.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import imaplib
import re
import socket
import ssl
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from intellirouter.config.schema.rag_sources import RagSource
from intellirouter.errors import PayloadTooLarge, StateUnavailable, UpstreamProtocolError

SECONDS = 60.0
"""For a read or a write, and for the connection."""
ANSWER_SECONDS = 280.0
ANSWER_BYTES = 8 << 20
"""Of one answer that holds no message."""
MOST_FOLDERS = 1_000
_NAMED_TOGETHER = 500
"""Numbers in one command: a server need not take more than 8,000 bytes of one (RFC 2683, 3.2.1.5)."""
_FOLDER = re.compile(rb'^\(([^()]{0,500})\) (?:"\\?(.)"|NIL) ?(.*)$', re.DOTALL)
_NUMBERS = re.compile(rb"\bUID (\d{1,10})\b|\bRFC822\.SIZE (\d{1,15})\b")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_NOT_MAIL = frozenset({rb"\noselect", rb"\nonexistent"})
_SPECIAL = frozenset({rb"\trash", rb"\junk", rb"\drafts"})


class TooMuch(Exception):
    """An answer is longer than what was asked for can be: nothing further of it is read, and the session is over."""


class _Counted:
    """Bounds what one command may be answered with, in bytes and time; goes before a connection of `imaplib`."""

    left = ANSWER_BYTES
    until = float("inf")

    def read(self, size: int) -> bytes:
        self._count(size)
        data: bytes = super().read(size)  # type: ignore[misc]
        return data

    def readline(self) -> bytes:
        line: bytes = super().readline()  # type: ignore[misc]
        self._count(len(line))
        return line

    def allow(self, size: int) -> None:
        """Of the command that follows."""
        self.left, self.until = size, time.monotonic() + ANSWER_SECONDS

    def _count(self, size: int) -> None:
        self.left -= size
        if self.left < 0:
            raise TooMuch
        if time.monotonic() > self.until:
            raise TimeoutError


class _Tls(_Counted, imaplib.IMAP4_SSL):
    pass


class _Plain(_Counted, imaplib.IMAP4):
    pass


@dataclass(frozen=True, slots=True)
class Folder:
    """`name` is written with slashes, `raw` is what the server calls it. `special`: for what was thrown away, or was not sent yet."""

    name: str
    raw: bytes
    special: bool


@dataclass(frozen=True, slots=True)
class Opened:
    """A folder that is looked into: how many messages it has, and what its numbers are valid for."""

    count: int
    validity: int


class Session:
    """Logged in. Raises `StateUnavailable` where the server does not let us in, `OSError` where it is away; then `over` is true."""

    def __init__(self, section: RagSource) -> None:
        self._section = section
        self._password = section.password.get_secret_value() if section.password else ""
        self._connection: Any = None
        self.over = False
        with self._told():
            self._connection = self._connected()
            self._login()

    def folders(self) -> list[Folder]:
        """All that hold messages."""
        with self._told():
            self._connection.allow(ANSWER_BYTES)
            lines = self._answer(self._connection.list())
        found = [folder for line in lines if (folder := folder_of(line)) is not None]
        if len(found) > MOST_FOLDERS:
            raise StateUnavailable(f"{self._section.host} has more than {MOST_FOLDERS} folders.")
        return found

    def open(self, folder: Folder) -> Opened:
        """Look into a folder, without changing anything."""
        with self._told():
            self._connection.allow(ANSWER_BYTES)
            (count, *_) = self._answer(self._connection.select(_quoted(folder.raw), readonly=True))
            (validity, *_) = self._connection.untagged_responses.get("UIDVALIDITY", [b"0"])
            return Opened(int(count or b"0"), int(validity))

    def search(self, first: int, last: int, since: date | None) -> list[int]:
        """The UIDs of messages in the open folder, from one place in it to another, that are not marked as deleted."""
        words = [f"{first}:{last}", "UNDELETED"]
        if since is not None:
            words += ["SINCE", f"{since.day}-{_MONTHS[since.month - 1]}-{since.year}"]
        with self._told():
            self._connection.allow(ANSWER_BYTES)
            lines = self._answer(self._connection.uid("SEARCH", *words))
            return [int(number) for line in lines if isinstance(line, bytes) for number in line.split()]

    def sizes(self, uids: Sequence[int]) -> dict[int, int]:
        """Bytes of messages in the open folder, of those that are there."""
        found = {}
        for start in range(0, len(uids), _NAMED_TOGETHER):
            named = ",".join(map(str, uids[start : start + _NAMED_TOGETHER]))
            with self._told():
                self._connection.allow(ANSWER_BYTES)
                lines = self._answer(self._connection.uid("FETCH", named, "(UID RFC822.SIZE)"))
            for line in lines:
                if isinstance(line, bytes):
                    told = {one.lastindex: int(one[one.lastindex or 0]) for one in _NUMBERS.finditer(line)}
                    if 1 in told and 2 in told:
                        found[told[1]] = told[2]
        return found

    def message(self, uid: int, most: int) -> bytes | None:
        """A message of the open folder as it was sent; None where it is gone. Raises `PayloadTooLarge`."""
        with self._told():
            self._connection.allow(most + ANSWER_BYTES)
            lines = self._answer(self._connection.uid("FETCH", str(uid), f"(UID BODY.PEEK[]<0.{most + 1}>)"))
        bodies = [line[1] for line in lines if isinstance(line, tuple)]
        if not bodies:
            return None
        if len(bodies[0]) > most:
            raise PayloadTooLarge(_larger(most))
        return bytes(bodies[0])

    def end(self) -> None:
        """Say goodbye."""
        with contextlib.suppress(Exception):  # it ends either way
            self._connection.allow(ANSWER_BYTES)
            self._connection.logout()
        self.cut()

    def cut(self) -> None:
        """End it now, whatever a thread waits for."""
        self.over = True
        if self._connection is not None:
            with contextlib.suppress(OSError):
                self._connection.sock.shutdown(socket.SHUT_RDWR)
            with contextlib.suppress(OSError):
                self._connection.sock.close()

    def _connected(self) -> Any:
        section = self._section
        host, port = section.host or "", section.port or (993 if section.tls == "tls" else 143)
        if section.tls == "tls":
            trusted = ssl.create_default_context(cafile=section.ca)
            return _Tls(host, port, ssl_context=trusted, timeout=SECONDS)
        made = _Plain(host, port, timeout=SECONDS)
        if section.tls == "starttls":
            made.starttls(ssl.create_default_context(cafile=section.ca))
        return made

    def _login(self) -> None:
        user, made = self._section.user or "", self._connection
        made.allow(ANSWER_BYTES)
        try:
            if "AUTH=PLAIN" in made.capabilities:
                self._answer(made.authenticate("PLAIN", lambda _: self._plain()))
            else:
                self._answer(made.login(user, self._password))
        except (imaplib.IMAP4.abort, TooMuch):
            raise
        except (imaplib.IMAP4.error, UnicodeEncodeError) as refused:
            raise StateUnavailable(
                f"{self._section.host} does not let '{user[:100]}' in; are user and password right? Many services want an app password here."
            ) from refused

    def _plain(self) -> bytes:
        """Who we are, as `AUTH=PLAIN` says it."""
        return f"\0{self._section.user or ''}\0{self._password}".encode()

    def _answer(self, told: tuple[str, list[Any]]) -> list[Any]:
        status, lines = told
        if status != "OK":
            said = b" ".join(line for line in lines if isinstance(line, bytes)).decode("utf-8", "replace")
            raise StateUnavailable(f"{self._section.host}: {self._shown(said)}")
        return [line for line in lines if line is not None]

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """What goes wrong in between, in our words. What the server refuses leaves the session as it is; all else ends it."""
        host = self._section.host
        try:
            yield
        except StateUnavailable:
            if self._connection is None or self._connection.state in ("NONAUTH", "LOGOUT"):
                self.cut()
            raise
        except (TooMuch, RecursionError) as more:
            self.cut()
            raise UpstreamProtocolError(f"{host} answers at too great length.") from more
        except TimeoutError as late:
            self.cut()
            raise StateUnavailable(f"{host} did not answer in time.") from late
        except ssl.SSLCertVerificationError as error:
            self.cut()
            raise StateUnavailable(
                f"{host} has a certificate that is not trusted: {error.verify_message}. `ca` names the file of one's own authority."
            ) from error
        except ssl.SSLError as error:
            self.cut()
            raise StateUnavailable(f"{host} does not speak TLS here: {error.reason}.") from error
        except OSError:
            self.cut()
            raise
        except (imaplib.IMAP4.error, ValueError, LookupError) as error:
            self.cut()
            raise StateUnavailable(f"{host}: {self._shown(str(error))}") from error

    def _shown(self, said: str) -> str:
        """What a server says, short, and without the password that it may have heard."""
        password = self._password.encode()
        for secret in (password, _quoted(password)[1:-1], *map(base64.b64encode, (password, self._plain()))):
            if secret:  # as it is, and as imaplib writes bytes into its errors
                said = said.replace(secret.decode(), "…").replace(repr(secret)[2:-1], "…")
        return "".join(sign if sign.isprintable() else " " for sign in said[:200]).strip() or "no reason told"


def folder_of(line: Any) -> Folder | None:
    """A folder as `LIST` tells of it, its name in quotes, bare or as a literal; None for what holds no messages or has no name to send back."""
    about, literal = line if isinstance(line, tuple) else (line, None)
    found = _FOLDER.match(about) if isinstance(about, bytes) else None
    if found is None:
        return None
    flags, between, raw = set(found[1].lower().split()), found[2], found[3]
    if literal is not None:
        raw = literal
    elif raw.startswith(b'"'):
        raw = re.sub(rb"\\(.)", rb"\1", raw[1:-1])
    if flags & _NOT_MAIL or not raw or any(byte < 32 or byte == 127 for byte in raw):
        return None
    name = decoded(raw)
    if between and between != b"/":
        name = name.replace(between.decode("latin-1"), "/")
    return Folder(name, raw, bool(flags & _SPECIAL))


def decoded(raw: bytes) -> str:
    """A folder's name out of IMAP's own UTF-7 (RFC 3501, 5.1.3), or UTF-8 as some servers send it; what is neither stays as it is."""
    if not raw.isascii():
        return raw.decode("utf-8", "replace")
    first, *rest = raw.decode().split("&")
    found = [first]
    for part in rest:
        coded, dash, after = part.partition("-")
        if not dash:
            return raw.decode()
        if not coded:
            found += ["&", after]
            continue
        padded = coded.replace(",", "/") + "=" * (-len(coded) % 4)
        try:
            found += [base64.b64decode(padded, validate=True).decode("utf-16-be"), after]
        except (binascii.Error, UnicodeDecodeError):
            return raw.decode()
    return "".join(found)


def _quoted(raw: bytes) -> bytes:
    return b'"' + raw.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def _larger(most: int) -> str:
    return f"has more than {most} bytes, which are all that is taken (rag.max_document_bytes)."
