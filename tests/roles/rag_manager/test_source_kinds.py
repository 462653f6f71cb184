"""Kinds of sources against real servers: what is listed, that a mark changes with its document, what is fetched, and what is refused."""

from __future__ import annotations

import asyncio
import os
import subprocess
import threading
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import psycopg
import pytest
from aiohttp import web
from wsgidav.wsgidav_app import WsgiDAVApp

from intellirouter.config.schema.rag_sources import RagSource
from intellirouter.errors import (
    IntelliRouterError,
    InvalidRequest,
    PayloadTooLarge,
    StateUnavailable,
    UpstreamProtocolError,
)
from intellirouter.roles.rag_manager.sources.git import Repository
from intellirouter.roles.rag_manager.sources.kinds import opened
from intellirouter.roles.rag_manager.sources.source import Entry
from intellirouter.roles.rag_manager.sources.webdav import read
from intellirouter.transport.outgoing.door import OutgoingDoor
from tests.roles.rag_manager.looking import contents
from tests.servers.postgres import postgres
from tests.servers.s3 import s3_server


@pytest.fixture
async def door() -> AsyncIterator[OutgoingDoor]:
    made = OutgoingDoor()
    yield made
    await made.aclose()


def section(kind: str, **more: Any) -> RagSource:
    return RagSource(name="s", kind=kind, collection="c", **more)


async def looked(told: RagSource, door: OutgoingDoor, most: int = 1_000) -> dict[str, tuple[str, Any]]:
    """Mark and contents by name; the reason where there are none."""
    return await contents(opened(told, door), most)


def git(folder: Path, *words: str) -> str:
    who = {
        f"GIT_{role}_{part}": "t@example.com"
        for role in ("AUTHOR", "COMMITTER")
        for part in ("NAME", "EMAIL")
    }
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), **who}
    words = ("git", "-C", str(folder), *words)
    return subprocess.run(words, check=True, capture_output=True, env=environment, text=True).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repo"
    (folder / "docs").mkdir(parents=True)
    git(folder, "init", "--quiet", "--initial-branch", "main")
    (folder / "docs" / "grüße.md").write_text("Hello.")
    (folder / "README.md").write_text("Read me.")
    (folder / "large.bin").write_bytes(b"x" * 2_000)
    (folder / "model.bin").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    (folder / "out").symlink_to("/etc/hostname")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "one")
    return folder


async def test_a_repository_in_place(repository: Path, door: OutgoingDoor) -> None:
    told = section("git", path=repository)
    first = await looked(told, door)
    assert {name: data for name, (_, data) in first.items() if isinstance(data, bytes)} == {
        "docs/grüße.md": b"Hello.",
        "README.md": b"Read me.",
    }
    assert "1000 bytes" in first["large.bin"][1]
    assert "Git LFS" in first["model.bin"][1]
    git(repository, "checkout", "--quiet", "-b", "next")
    (repository / "README.md").write_text("Read me again.")
    git(repository, "rm", "--quiet", "large.bin")
    git(repository, "commit", "--quiet", "-am", "two")
    git(repository, "checkout", "--quiet", "main")
    second = await looked(section("git", path=repository, branch="next"), door)
    assert second.keys() == first.keys() - {"large.bin"}
    assert [name for name in second if second[name][0] != first[name][0]] == ["README.md"]
    assert await looked(told, door) == first
    with pytest.raises(StateUnavailable, match="git: fatal"):
        await looked(section("git", path=repository, branch="none"), door)


async def test_a_repository_cannot_make_git_run_anything(
    repository: Path, door: OutgoingDoor, tmp_path: Path
) -> None:
    """Its configuration names programs everywhere, and one file's contents are to be had from a program only."""
    mark = tmp_path / "ran"
    with (repository / ".git/config").open("a") as config:
        config.write(
            f'[core]\n\tfsmonitor = "touch {mark}"\n\tsshCommand = "touch {mark}"\n[extensions]\n\tpartialClone = evil\n'
            f'[remote "evil"]\n\turl = "ext::sh -c touch% {mark}"\n\tpromisor = true\n[protocol "ext"]\n\tallow = always\n'
        )
    hash_ = git(repository, "rev-parse", "HEAD:README.md")
    (repository / ".git/objects" / hash_[:2] / hash_[2:]).unlink()
    found = await looked(section("git", path=repository), door)
    assert found["docs/grüße.md"][1] == b"Hello."
    assert "git: " in found["README.md"][1]
    assert not mark.exists()


@pytest.mark.parametrize("url", ["https://user:secret@host/x", "ssh://host/x", "file:///x", "ext::sh -c id"])
def test_no_other_transport_is_taken(url: str) -> None:
    with pytest.raises(ValueError, match="url"):
        section("git", url=url)


async def test_a_repository_elsewhere(repository: Path, door: OutgoingDoor, tmp_path: Path) -> None:
    """Over HTTP from git's own server program, which asks for a password."""
    git(repository, "clone", "--quiet", "--bare", str(repository), str(tmp_path / "served/x.git"))
    git(tmp_path / "served/x.git", "config", "uploadpack.allowFilter", "true")

    async def serve(request: web.Request) -> web.Response:
        if request.headers.get("authorization") != f"Basic {b64encode(b'ann:s3cret-token').decode()}":
            return web.Response(status=401, headers={"www-authenticate": "Basic"})
        environment = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(tmp_path / "served"),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": request.path,
            "QUERY_STRING": request.query_string,
            "REQUEST_METHOD": request.method,
            "CONTENT_TYPE": request.headers.get("content-type", ""),
            "HTTP_CONTENT_ENCODING": request.headers.get("content-encoding", ""),
            "GIT_PROTOCOL": request.headers.get("git-protocol", ""),
        }
        words = ("git", "-c", "safe.directory=*", "http-backend")
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(*words, stdin=pipe, stdout=pipe, env=environment)
        answer, _ = await process.communicate(await request.read())
        head, _, body = answer.partition(b"\r\n\r\n")
        told = dict(line.split(": ", 1) for line in head.decode().splitlines())
        return web.Response(status=int(told.pop("Status", "200").split()[0]), headers=told, body=body)

    runner, url = await served(serve)
    told = section("git", url=f"{url}/x.git", user="ann", password="s3cret-token", include=("*.md",))
    found = await looked(told, door)
    assert {name: data for name, (_, data) in found.items()} == {
        "docs/grüße.md": b"Hello.",
        "README.md": b"Read me.",
    }
    with pytest.raises(StateUnavailable, match="git: ") as refused:
        await looked(section("git", url=f"{url}/x.git", user="ann", password="wrong-token"), door)
    assert "wrong-token" not in refused.value.message
    source = Repository(told)
    async for _ in source.listed(lambda _: None):
        break
    folder = source._folder
    await source.aclose()
    assert folder is not None
    assert not folder.exists()
    await runner.cleanup()


async def served(handler: Any) -> tuple[web.AppRunner, str]:
    app = web.Application(handler_args={"auto_decompress": False})
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner, f"http://127.0.0.1:{runner.addresses[0][1]}"


async def test_a_bucket(door: OutgoingDoor) -> None:
    with s3_server() as server:
        server.make("papers")
        for key in ("kb/a.md", "kb/sub/b c.txt", "other/c.md", "kb/large.bin"):
            server.put(f"papers/{key.replace(' ', '%20')}", key.encode() * (200 if "large" in key else 1))
        said: dict[str, Any] = {
            "endpoint": server.url,
            "region": "us-east-1",
            "access_key": "test",
            "secret_key": "a-secret",
        }
        told = section("s3", bucket="papers", prefix="kb", **said)
        first = await looked(told, door)
        assert first["a.md"][1] == b"kb/a.md"
        assert first["sub/b c.txt"][1] == b"kb/sub/b c.txt"
        assert "1000 are taken" in first["large.bin"][1]
        assert len(first) == 3
        server.put("papers/kb/a.md", b"changed")
        second = await looked(told, door)
        assert [name for name in second if second[name][0] != first[name][0]] == ["a.md"]
        with pytest.raises(IntelliRouterError, match="s3://nothing"):
            await looked(section("s3", bucket="nothing", **said), door)


SHOP = """
create table pages (n int primary key, body text, changed timestamptz not null default now(), author text);
insert into pages values (1, 'The first.', now(), 'ann'), (2, '100% wool', now(), 'bob'), (3, null, now(), 'eve'), (4, repeat('x', 2000), now(), '');
create function writes() returns int language sql as $$ update pages set body = 'broken'; select 1 $$;
"""


async def test_rows_of_a_query(door: OutgoingDoor) -> None:
    with postgres() as url:
        with psycopg.connect(url) as made:
            made.execute(SHOP.encode())
        query = (
            "select n as id, body as text, changed as updated, author from pages where author not like '%z';"
        )
        told = section("postgres", database_url=url, query=query)
        first = await looked(told, door)
        assert {name: data for name, (_, data) in first.items() if isinstance(data, bytes)} == {
            "1": b"The first.",
            "2": b"100% wool",
        }
        assert "2000 bytes" in first["4"][1]
        assert "3" not in first
        hashed = section("postgres", database_url=url, query="select n as id, body as text from pages")
        before = await looked(hashed, door)
        with psycopg.connect(url) as made:
            made.execute("update pages set body = 'Another.', changed = now() where n = 1")
            made.execute("delete from pages where n = 2")
        for source, known in ((told, first), (hashed, before)):
            after = await looked(source, door)
            assert set(after) == {"1", "4"}
            assert [name for name in after if after[name][0] != known[name][0]] == ["1"]

        def asking(query: str, database_url: str = url) -> RagSource:
            return section("postgres", database_url=database_url, query=query)

        with pytest.raises(InvalidRequest, match="no column text"):
            await looked(asking("select 1 as id"), door)
        for query, reason in (
            ("select writes() as id, 'x' as text", "read-only"),
            (
                "select 1 as id, 'x' as text) as a; drop table pages; --",
                "multiple commands|syntax|cannot insert",
            ),
            ("select * from nowhere", "nowhere"),
        ):
            with pytest.raises(StateUnavailable, match=reason):
                await looked(asking(query), door)
        with pytest.raises(StateUnavailable, match="Postgres") as refused:
            await looked(asking(query, "postgresql://ann:hidden-password@127.0.0.1:9/x"), door)
        assert "hidden-password" not in refused.value.message


@pytest.fixture
def share(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A WebDAV server's address and its folder."""
    folder = tmp_path / "share"
    folder.mkdir()
    users = {"ann": {"password": "s3cret-token"}}
    config = {
        "provider_mapping": {"/remote/dav": str(folder)},
        "http_authenticator": {"accept_digest": False, "default_to_digest": False},
        "simple_dc": {"user_mapping": {"*": users}},
        "logging": {"enable": False},
        "verbose": 0,
    }

    class Quiet(WSGIRequestHandler):
        def log_message(self, *words: object) -> None:
            """Nobody reads it."""

    class Threads(ThreadingMixIn, WSGIServer):
        daemon_threads = True

    with make_server("127.0.0.1", 0, WsgiDAVApp(config), Threads, Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/remote/dav", folder
        server.shutdown()
        thread.join()


async def test_a_share(share: tuple[str, Path], door: OutgoingDoor) -> None:
    url, folder = share
    (folder / "Größen & mehr/deep").mkdir(parents=True)
    (folder / "drafts").mkdir()
    for name in (
        "a.md",
        "Größen & mehr/b c#1?.md",
        "Größen & mehr/deep/d.txt",
        "drafts/e.md",
        ".hidden",
        "f.part",
    ):
        (folder / name).write_text(f"About {name}.")
    (folder / "large.bin").write_bytes(b"x" * 2_000)
    said: dict[str, Any] = {"user": "ann", "password": "s3cret-token"}
    told = section("webdav", url=url, exclude=("drafts",), **said)
    first = await looked(told, door)
    assert {name: data for name, (_, data) in first.items() if isinstance(data, bytes)} == {
        name: f"About {name}.".encode()
        for name in ("a.md", "Größen & mehr/b c#1?.md", "Größen & mehr/deep/d.txt")
    }
    assert "2000 bytes" in first["large.bin"][1]
    (folder / "a.md").write_text("Something else, and longer.")
    (folder / "large.bin").unlink()
    second = await looked(told, door)
    assert second.keys() == first.keys() - {"large.bin"}
    assert [name for name in second if second[name][0] != first[name][0]] == ["a.md"]
    below = await looked(section("webdav", url=f"{url}/Gr%C3%B6%C3%9Fen%20&%20mehr/", **said), door)
    assert set(below) == {"b c#1?.md", "deep/d.txt"}
    for wrong, reason in (
        (section("webdav", url=url), "password right"),
        (section("webdav", url=f"{url}/no", **said), "404"),
    ):
        with pytest.raises(StateUnavailable, match=reason):
            await looked(wrong, door)


@pytest.mark.parametrize(
    "answer", [b"", b"<html>", b'<!DOCTYPE x [<!ENTITY a "b">]><d:multistatus xmlns:d="DAV:"/>', b"\xff\xfe"]
)
def test_what_is_no_answer_of_webdav_is_refused(answer: bytes) -> None:
    with pytest.raises(UpstreamProtocolError):
        read(answer)


async def test_too_large_is_said_before_it_is_sent(door: OutgoingDoor) -> None:
    source = opened(section("webdav", url="http://127.0.0.1:9/dav"), door)
    with pytest.raises(PayloadTooLarge):
        await source.fetch(Entry("x", "1", size=10), 9)
