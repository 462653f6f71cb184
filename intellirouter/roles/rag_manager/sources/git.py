"""A branch of a Git repository, read by the `git` program: one on this machine in place, another one over HTTP.

Of a repository elsewhere a look fetches the names of the newest commit's files and the contents of those that changed, into a folder that is
removed with the look. Nothing of a repository runs: no hooks, no submodules, no transport besides HTTP, no prompt, and no configuration of
the user or the machine. Files that Git LFS keeps are not fetched.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
import tempfile
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from yarl import URL

from intellirouter.config import env
from intellirouter.config.schema.rag_sources import RagSource
from intellirouter.errors import InvalidRequest, PayloadTooLarge, StateUnavailable
from intellirouter.roles.rag_manager.sources.source import Entry, Fetched, Known, Trouble, wanted

CLONE_SECONDS, ASK_SECONDS = 540.0, 120.0
_LFS = b"version https://git-lfs.github.com/spec/"
_FILES = frozenset({"100644", "100755"})
_SAID = 2_000
_BLOCK = 1 << 16
_SETTINGS = (
    ("safe.directory", "*"),  # nothing of the repository's own is run
    ("core.hooksPath", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("http.followRedirects", "false"),
    ("credential.helper", ""),
    ("gc.auto", "0"),
)


@dataclass(slots=True)
class Repository:
    """See `Source`. The mark of a file is the hash of its contents."""

    section: RagSource
    _folder: Path | None = None
    _environment: Mapping[str, str] = field(default_factory=dict)

    async def listed(self, known: Known) -> AsyncIterator[Entry | Trouble]:  # noqa: ARG002  a mark is had for nothing
        """See `Source.listed`."""
        await self._open()
        branch = self.section.branch if self.section.url is None else None
        tree = (
            (await self._asked("rev-parse", "--verify", "--end-of-options", f"{branch or 'HEAD'}^{{tree}}"))
            .decode()
            .strip()
        )
        async for line in self._lines("ls-tree", "-r", "-z", "--full-tree", tree):
            facts, _, raw = line.partition(b"\t")
            mode, _, hash_ = facts.decode("ascii").split(" ")
            if mode not in _FILES:  # a link, or a repository within
                continue
            try:
                name = raw.decode()
            except UnicodeDecodeError:
                yield Trouble(raw.decode("utf-8", "replace")[:500], "has a name that is no UTF-8")
                continue
            if wanted(self.section, name):
                yield Entry(name, hash_)

    async def fetch(self, entry: Entry, most: int) -> Fetched | None:
        """See `Source.fetch`."""
        data = await self._asked("cat-file", "blob", entry.mark, most=most)
        if data.startswith(_LFS):
            raise InvalidRequest("is kept in Git LFS, which is not fetched.")
        place = str(self.section.url or self.section.path)
        return Fetched(data, {"repository": place[:500], "path": entry.name})

    async def aclose(self) -> None:
        """Remove what was fetched."""
        if self._folder is not None and self.section.url is not None:
            await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)
        self._folder = None

    async def _open(self) -> None:
        section = self.section
        self._environment = _environment(section)
        if section.url is None:
            if section.path is None:
                raise ValueError("the schema lets no repository without a place through")
            self._folder = section.path
            return
        self._folder = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="intellirouter-git-"))
        words = [
            "clone",
            "--quiet",
            "--bare",
            "--depth",
            "1",
            "--filter=blob:none",
            "--no-tags",
            "--single-branch",
        ]
        if section.branch is not None:
            words += ["--branch", section.branch]
        await self._asked(*words, "--", section.url, str(self._folder), seconds=CLONE_SECONDS, within=False)

    async def _asked(
        self, *words: str, most: int = 1 << 20, seconds: float = ASK_SECONDS, within: bool = True
    ) -> bytes:
        """What it writes. Raises `StateUnavailable` with what it complains of, `PayloadTooLarge`."""
        answer = bytearray()
        async with asyncio.timeout(seconds), self._running(words, within=within) as process:
            out = process.stdout
            while out is not None and (data := await out.read(_BLOCK)):
                answer += data
                if len(answer) > most:
                    raise PayloadTooLarge(
                        f"has more than {most} bytes, which are all that is taken (rag.max_document_bytes)."
                    )
        return bytes(answer)

    async def _lines(self, *words: str) -> AsyncIterator[bytes]:
        """The records of its answer, each ended by a zero byte."""
        rest = b""
        async with self._running(words) as process:
            out = process.stdout
            while out is not None and (data := await out.read(_BLOCK)):
                *whole, rest = (rest + data).split(b"\0")
                for line in whole:
                    yield line

    @contextlib.asynccontextmanager
    async def _running(
        self, words: tuple[str, ...], *, within: bool = True
    ) -> AsyncIterator[asyncio.subprocess.Process]:
        """The program at work. Raises `StateUnavailable` when it ends with a complaint; killed when the block ends early."""
        where = [f"--git-dir={_git_dir(self._folder)}"] if within and self._folder is not None else []
        try:
            process = await asyncio.create_subprocess_exec(
                "git",
                *where,
                *words,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=dict(self._environment),
                cwd="/",
            )
        except FileNotFoundError as cause:
            raise StateUnavailable(
                "A source of kind 'git' needs the program git, which is not installed."
            ) from cause
        complaints = asyncio.create_task(_read(process.stderr))
        whole = False
        try:
            yield process
            whole = True
        finally:
            if not whole and process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
            said = await complaints
            code = await process.wait()
        if code != 0:
            raise StateUnavailable(f"git: {_line(said)}")


def _git_dir(folder: Path) -> Path:
    """Of a working copy the folder within."""
    return folder / ".git" if (folder / ".git").is_dir() else folder


def _environment(section: RagSource) -> dict[str, str]:
    """All that git sees of the world."""
    settings = list(_SETTINGS)
    if section.url is not None and section.password is not None:
        told = f"{section.user or 'git'}:{section.password.get_secret_value()}".encode()
        place = str(URL(section.url).origin())
        settings.append((f"http.{place}/.extraHeader", f"Authorization: Basic {b64encode(told).decode()}"))
    told_settings = {f"GIT_CONFIG_KEY_{n}": key for n, (key, _) in enumerate(settings)}
    told_settings |= {f"GIT_CONFIG_VALUE_{n}": value for n, (_, value) in enumerate(settings)}
    shared = {
        name: value
        for name in ("PATH", "SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO")
        if (value := env.current().get(name))
    }
    return {
        **shared,
        **told_settings,
        "GIT_CONFIG_COUNT": str(len(settings)),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_ALLOW_PROTOCOL": "none" if section.url is None else "http:https",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "true",
        "GIT_OPTIONAL_LOCKS": "0",
        "HOME": "/nonexistent",
        "LC_ALL": "C",
    }


async def _read(stream: asyncio.StreamReader | None) -> str:
    """The end of what it complains of."""
    said = b""
    while stream is not None and (data := await stream.read(_BLOCK)):
        said = (said + data)[-_SAID:]
    return said.decode("utf-8", "replace")


def _line(said: str) -> str:
    """The complaint in one line, without the credentials that an address may hold."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    fatal = [line for line in lines if line.startswith(("fatal:", "error:"))]
    return re.sub(r"//[^/@\s]{1,500}@", "//", (fatal or lines or ["ended with an error"])[-1])[:300]
