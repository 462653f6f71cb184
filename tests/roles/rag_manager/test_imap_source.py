"""Mail from a real server (Dovecot), and from servers that lie, talk without end or say nothing."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import imaplib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intellirouter.config.schema.rag_sources import RagSource
from intellirouter.errors import IntelliRouterError, PayloadTooLarge, StateUnavailable, UpstreamProtocolError
from intellirouter.roles.rag_manager.sources.imap.mailbox import Mailbox
from intellirouter.roles.rag_manager.sources.imap.session import Session, decoded, folder_of
from intellirouter.roles.rag_manager.sources.source import Entry, Fetched, Seen
from tests.roles.rag_manager.looking import contents
from tests.servers.certificates import Authority
from tests.servers.dovecot import PASSWORD, USER, dovecot
from tests.servers.ports import free_port

MAIL = b"From: Ann <ann@example.com>\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nDate: Mon, 1 Jan 2024 10:00:00 +0000\r\n\r\n%s\r\n"


def section(port: int, **more: Any) -> RagSource:
    told = {"host": "127.0.0.1", "port": port, "user": USER, "password": PASSWORD}
    return RagSource(name="mail", kind="imap", collection="c", **(told | more))


async def looked(
    told: RagSource, most: int = 10_000, known: dict[str, Seen] | None = None
) -> dict[str, tuple[str, Any]]:
    """Mark and contents by name; the reason where there are none."""
    return await contents(Mailbox(told), most, (known or {}).get)


async def test_a_mailbox(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "ca")
    with dovecot(*authority.issue()) as server:
        box = imaplib.IMAP4_SSL(
            "127.0.0.1", server.port, ssl_context=ssl.create_default_context(cafile=authority.file)
        )
        box.authenticate("PLAIN", lambda _: f"\0{USER}\0{PASSWORD}".encode())
        box.create('"Archive/Gr&APwA3w-e"')
        for folder, text in (
            ("INBOX", b"one"),
            ("INBOX", b"two"),
            ('"Archive/Gr&APwA3w-e"', b"three"),
            ("Trash", b"four"),
        ):
            box.append(folder, "", "", MAIL % text)
        box.append("INBOX", "", "", MAIL % (b"x" * 30_000))
        plain = section(server.port, ca=authority.file)
        first = await looked(plain)
        assert list(first) == ["INBOX/3.eml", "INBOX/2.eml", "INBOX/1.eml"]  # the newest first
        assert first["INBOX/1.eml"][1] == MAIL % b"one"
        assert "at most 10000" in first["INBOX/3.eml"][1]
        assert await looked(plain) == first

        source = Mailbox(
            section(server.plain, ca=authority.file, tls="starttls", folders=["Archive/*", "trash", "None"])
        )
        entries = [one async for one in source.listed(lambda _: None)]
        assert [one.name for one in entries] == ["trash", "None", "Archive/Grüße/1.eml"]
        assert isinstance(entries[2], Entry)
        fetched = await source.fetch(entries[2], 10_000)
        assert isinstance(fetched, Fetched)
        assert fetched.data == MAIL % b"three"
        assert fetched.attributes == {
            "folder": "Archive/Grüße",
            "from": "Ann <ann@example.com>",
            "date": "Mon, 1 Jan 2024 10:00:00 +0000",
        }
        await source.aclose()
        everywhere = section(server.port, ca=authority.file, folders=["*"])
        assert "Trash/1.eml" not in await looked(everywhere)
        assert "Trash/1.eml" in await looked(everywhere.model_copy(update={"folders": ("Trash",)}))

        box.select("INBOX")
        box.uid("STORE", "1", "+FLAGS", "(\\Deleted)")  # thrown away, and not yet gone
        assert "INBOX/1.eml" not in await looked(plain)
        box.expunge()
        known = {name: Seen(mark) for name, (mark, _) in first.items()}
        source = Mailbox(plain)
        entries = [one async for one in source.listed(known.get)]
        assert [
            (one.name, one.size) for one in entries if isinstance(one, Entry)
        ] == [  # what is known costs nothing
            ("INBOX/3.eml", None),
            ("INBOX/2.eml", None),
        ]
        with pytest.raises(PayloadTooLarge, match="more than 5000 bytes"):
            await source.fetch(entries[0], 5_000)
        assert await source.fetch(Entry("INBOX/1.eml", first["INBOX/1.eml"][0]), 10_000) is None
        with pytest.raises(StateUnavailable, match="numbered anew"):
            await source.fetch(Entry("INBOX/2.eml", "1.2"), 10_000)
        await source.aclose()
        box.create("Fresh")
        box.append("Fresh", "", "", MAIL % b"today")
        since = section(server.port, ca=authority.file, folders=["Fresh"], since_days=2)
        assert list(await looked(since)) == ["Fresh/1.eml"]
        validity = first["INBOX/2.eml"][0].partition(".")[0]
        assert int(validity) > 0

        for wrong, said in (
            ({"password": "guessed"}, "does not let 'ann@example.com' in"),
            ({"ca": None}, "not trusted"),
            ({"port": server.plain}, "does not speak TLS"),
        ):
            with pytest.raises(StateUnavailable, match=said) as refused:
                await looked(section(**({"port": server.port, "ca": authority.file} | wrong)))
            assert "guessed" not in str(refused.value)
        box.logout()
    with pytest.raises((OSError, StateUnavailable)):
        await looked(plain)


Says = Callable[[bytes, bytes], bytes | None]


@contextlib.contextmanager
def lying(answer: Says) -> Iterator[int]:
    """A server that answers each command (tag, words) as it likes; after None it says nothing more."""
    port, listener = free_port(), socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen()

    def serve() -> None:
        while True:
            try:
                held, _ = listener.accept()
            except OSError:
                return
            with held, contextlib.suppress(OSError), held.makefile("rwb") as told:
                told.write(b"* OK hello\r\n")
                told.flush()
                for line in told:
                    tag, _, words = line.strip().partition(b" ")
                    said = answer(tag, words)
                    if said is None:
                        held.recv(1)  # until the other side leaves
                        break
                    told.write(said)
                    told.flush()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield port
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(20)


def usual(tag: bytes, words: bytes) -> bytes:
    verb = words.split(b" ")[0].upper()
    more = {
        b"CAPABILITY": b"* CAPABILITY IMAP4rev1\r\n",
        b"LIST": b'* LIST () "/" INBOX\r\n',
        b"EXAMINE": b"* 1 EXISTS\r\n* OK [UIDVALIDITY 7] x\r\n",
    }.get(verb, b"")
    if b"SEARCH" in words:
        more = b"* SEARCH 5 5 5\r\n"
    if b"RFC822.SIZE" in words:
        more = b"* 1 FETCH (UID 5 RFC822.SIZE 3)\r\n"
    if b"BODY.PEEK" in words:
        more = b"* 1 FETCH (UID 5 BODY[]<0> {3}\r\nabc)\r\n"
    return more + tag + b" OK done\r\n"


async def test_a_server_that_lies(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it says too much ends the session, not the node; what it says of the password is not passed on."""
    told: list[Says] = [usual]

    def answer(tag: bytes, words: bytes) -> bytes | None:
        return told[0](tag, words)

    def instead(what: bytes, said: bytes | None) -> Says:
        return lambda tag, words: (
            (None if said is None else said.replace(b"TAG", tag)) if what in words else usual(tag, words)
        )

    with lying(answer) as port:
        here = section(port, tls="none")
        assert await looked(here) == {"INBOX/5.eml": ("7.5", b"abc")}

        told[0] = instead(b"BODY.PEEK", b"* 1 FETCH (UID 5 BODY[]<0> {99999999999}\r\nabc")
        assert "too great length" in (await looked(here))["INBOX/5.eml"][1]
        with monkeypatch.context() as smaller:
            smaller.setattr("intellirouter.roles.rag_manager.sources.imap.session.ANSWER_BYTES", 64_000)
            told[0] = instead(b"LIST", b'* LIST () "/" x\r\n' * 6_000)
            with pytest.raises(UpstreamProtocolError, match="too great length"):
                await looked(here)
        told[0] = instead(b"LIST", b'* LIST () "/" "a%d"\r\n' * 1_001 + b"TAG OK x\r\n")
        with pytest.raises(StateUnavailable, match="more than 1000 folders"):
            await looked(here)
        told[0] = instead(b"LIST", b"TAG NO your password " + PASSWORD.encode() + b" \x1b[2J is bad\r\n")
        with pytest.raises(StateUnavailable, match="your password … ") as refused:
            await looked(here)
        assert PASSWORD not in refused.value.message
        assert refused.value.message.isprintable()
        login = base64.b64encode(f"\0{USER}\0{PASSWORD}".encode())
        quoted = PASSWORD.replace("\\", "\\\\").replace('"', '\\"').encode()
        for heard in (PASSWORD.encode(), quoted, login, base64.b64encode(PASSWORD.encode())):
            told[0] = instead(b"LIST", b"TAG BAD what is <" + heard + b">?\r\n")
            with pytest.raises(StateUnavailable, match="what is <…>"):
                await looked(here)
        for place, nonsense in (
            (b"SEARCH", b"\xff\xfe\x00\r\n"),
            (b"SEARCH", b"* SEARCH five\r\nTAG OK\r\n"),
            (b"SEARCH", b"* BYE gone\r\n"),
            (b"SEARCH", b"TAG BAD no\r\n"),
            (b"EXAMINE", b"* many EXISTS\r\nTAG OK x\r\n"),
            (b"EXAMINE", b"TAG NO not today\r\n"),
        ):
            told[0] = instead(place, nonsense)
            try:
                assert (await looked(here))["INBOX"][1]  # a folder that is told of and not read
            except IntelliRouterError as ended:
                assert ended.message.startswith("127.0.0.1")
        told[0] = instead(b"LIST", b'* LIST () "/" "[Gmail]/All Mail"\r\nTAG OK x\r\n')
        for folders in (("[Gmail]/All Mail",), ("[Gmail]/*",)):
            assert list(await looked(here.model_copy(update={"folders": folders}))) == [
                "[Gmail]/All Mail/5.eml"
            ]
        many = b" ".join(b"%d" % (4_000_000_000 + 2 * n) for n in range(1_200))
        longest = 0

        def measured(tag: bytes, words: bytes) -> bytes:
            nonlocal longest
            longest = max(longest, len(words))
            return (
                b"* SEARCH " + many + b"\r\n" + tag + b" OK x\r\n"
                if b"SEARCH" in words
                else usual(tag, words)
            )

        told[0] = measured
        source = Mailbox(here)
        assert len([one async for one in source.listed(lambda _: None)]) == 1_200
        await source.aclose()
        assert 5_000 < longest < 8_000  # which every server takes
        told[0] = instead(b"LIST", b'* LIST () "/" {14}\r\nA\r\nx1 DELETE a\r\nTAG OK x\r\n')
        assert list(await looked(here)) == ["INBOX"]  # such a name is never sent back

        told[0] = instead(b"SEARCH", None)
        source = Mailbox(here)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                async for _ in source.listed(lambda _: None):
                    pass
        told[0] = usual
        assert [one.name async for one in source.listed(lambda _: None)] == ["INBOX/5.eml"]
        await source.aclose()  # the server takes one at a time: the silent session was ended

        monkeypatch.setattr("intellirouter.roles.rag_manager.sources.imap.session.SECONDS", 0.2)
        told[0] = instead(b"LIST", None)
        with pytest.raises(StateUnavailable, match="in time"):
            await asyncio.to_thread(lambda: Session(here).folders())


def test_names_of_folders() -> None:
    for line, name, special in (
        (b'(\\HasNoChildren) "/" INBOX', "INBOX", False),
        (b'(\\Trash) "." "Old.Deleted \\"x\\""', 'Old/Deleted "x"', True),
        ((b'() "/" {5}', b"a & b"), "a & b", False),
        (b"() NIL plain", "plain", False),
    ):
        folder = folder_of(line)
        assert folder is not None
        assert (folder.name, folder.special) == (name, special)
    for line in (b'(\\Noselect) "/" x', b'() "/" ""', b"nonsense", None, (b'() "/" {3}', b"a\r\n"), b")"):
        assert folder_of(line) is None


@settings(max_examples=40)
@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=30))
def test_any_name_survives_imap_s_utf_7(name: str) -> None:
    coded = base64.b64encode(name.encode("utf-16-be")).decode().rstrip("=").replace("/", ",")
    assert decoded(f"a&{coded}-b&-".encode()) == (f"a{name}b&" if name else "a&b&")


@pytest.mark.parametrize("raw", [b"&", b"&x", b"&x-", b"&!!-", b"&2D0-", b"a&AB-", b"\xff\xfe"])
def test_a_name_that_is_none_stays_as_it_is(raw: bytes) -> None:
    assert isinstance(decoded(raw), str)


def test_what_is_refused_in_the_configuration() -> None:
    for more, said in (
        ({"tls": "none", "host": "mail.example.com"}, "could be read on the way"),
        ({"user": None}, "needs host, user and password"),
        ({"host": "a b"}, "host"),
    ):
        with pytest.raises(ValueError, match=said):
            section(143, **more)
