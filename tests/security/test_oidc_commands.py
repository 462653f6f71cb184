"""`intellirouter login` at a provider of identities: with a browser that comes back, by a code, and what is kept stays fresh."""

from __future__ import annotations

import asyncio
import io
import re
import sys
import threading
import time
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable
from http.cookiejar import CookieJar
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import msgspec
import pytest
import pytest_asyncio

from intellirouter.cli import login_provider
from intellirouter.cli.main import main
from intellirouter.cli.signed_in import SignedIn, keep
from tests.servers.identity_provider import CLIENT, SECRET, IdentityProvider, Person, identity_provider
from tests.servers.installation import Installation, installed

pytestmark = pytest.mark.asyncio(loop_scope="module")
TOML = """
[auth]
enabled = true
[[auth.oidc]]
name = "corp"
issuer = "{url}"
client_id = "{client}"
client_secret = "{secret}"
roles = ["auditor"]
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[tuple[Installation, IdentityProvider]]:
    async with identity_provider(ann=Person("ann-1")) as idp:
        toml = TOML.format(url=idp.url, client=CLIENT, secret=SECRET)
        async with installed("one", tmp_path_factory.mktemp("oidc"), toml) as node:
            idp.redirects.add(f"{node.urls['Router']}/auth/oidc/corp/callback")
            yield node, idp


Run = Callable[..., Awaitable[tuple[int, str]]]


@pytest.fixture
def run(
    place: tuple[Installation, IdentityProvider],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("INTELLIROUTER_URL", place[0].urls["Router"])
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(sys, "stdin", io.StringIO("a password\n"))

    def ended(words: list[str]) -> int:
        try:
            main(words)
        except SystemExit as end:
            return int(end.code or 0)
        return 0

    async def one(*words: str) -> tuple[int, str]:
        capsys.readouterr()
        code = await asyncio.to_thread(ended, list(words))
        told = capsys.readouterr()
        return code, told.out + told.err

    return one


def kept(folder: Path) -> SignedIn:
    data = (folder / "intellirouter" / "tokens.json").read_bytes()
    return next(iter(msgspec.json.decode(data, type=dict[str, SignedIn]).values()))


def walk(idp: IdentityProvider, user: str) -> Callable[[str], bool]:
    """A browser that signs in as this user, without being asked, aside as a browser is."""

    def signs_in(url: str) -> None:
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
        with opener.open(url, timeout=30) as form:
            asked = urlsplit(form.geturl()).query
        body = urlencode({"user": user, "asked": asked}).encode()
        with opener.open(f"{idp.url}/authorize", body, timeout=30) as shown:
            assert "window can be closed" in shown.read().decode()

    def opened(url: str) -> bool:
        threading.Thread(target=signs_in, args=(url,), daemon=True).start()
        return True

    return opened


async def test_with_a_browser(
    place: tuple[Installation, IdentityProvider], run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    idp = place[1]
    monkeypatch.setattr(login_provider.webbrowser, "open", walk(idp, "ann"))
    monkeypatch.setattr("intellirouter.cli.login_provider.has_browser", lambda: True)
    code, said = await run("login")
    assert code == 0 and "Signed in to" in said and "ann-1@localhost" in said, said
    assert (tmp_path / "intellirouter" / "tokens.json").stat().st_mode & 0o777 == 0o600
    assert (await run("whoami"))[0] == 0
    first = kept(tmp_path)
    # near its end the token is renewed before it is brought; by several at once, once
    keep(place[0].urls["Router"], msgspec.structs.replace(first, until=time.time() + 10))
    asked = len(idp.log)
    told = await asyncio.gather(*(run("whoami") for _ in range(3)))
    assert [code for code, _ in told] == [0, 0, 0], told
    assert kept(tmp_path).refresh_token != first.refresh_token and kept(tmp_path).until > first.until
    assert len(idp.log) == asked, "the provider is asked once an hour, and not each time"
    code, said = await run("logout")
    assert code == 0, said
    assert (await run("whoami"))[0] != 0
    monkeypatch.setattr(login_provider.webbrowser, "open", walk(idp, "nobody"))
    code, said = await run("login")
    assert code != 0 and "not let in" in said and "Traceback" not in said


async def test_with_a_code(place: tuple[Installation, IdentityProvider], run: Run) -> None:
    node, idp = place
    before = set(idp.users)

    async def enter() -> None:
        async with asyncio.timeout(60):
            await idp.device_asked.wait()
        form = {"user": "ann", "code": (set(idp.users) - before).pop()}
        async with node.http.post(f"{idp.url}/activate", data=form) as reply:
            assert reply.status == 200

    (code, said), _ = await asyncio.gather(run("login", "--device"), enter())
    assert code == 0 and re.search(r"enter the code [0-9A-F]{6}", said), said
    assert all(len(line) <= 80 or "http" in line or "/" in line for line in said.splitlines())
    assert (await run("whoami"))[0] == 0


@pytest.mark.parametrize(
    ("words", "says"),
    [(("--provider", "none"), "There are: corp"), (("--user", "ann", "--device"), "not both"), (("--user", "ann"), "Nobody signs in with a password")],
)  # fmt: skip
async def test_mistakes(run: Run, words: tuple[str, ...], says: str) -> None:
    code, said = await run("login", *words)
    assert code != 0 and says in " ".join(said.split()), said
