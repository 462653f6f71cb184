"""One POST of a batch over HTTP, with an end to all of it: the whole time, what is read of the answer, no redirects."""

from __future__ import annotations

import gzip
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import aiohttp
from multidict import CIMultiDict

from intellirouter.telemetry.addresses import without_person
from intellirouter.telemetry.shipping.entry import on_one_line, visible
from intellirouter.telemetry.shipping.outlet import Away, Refused

SECONDS = 5.0
"""A try ends after so long."""
MAX_ANSWER = 64 << 10
_TOLD = 300


class Poster:
    """Posts to `url`. `again` are the answers after which a batch is sent again later, beside those of 429."""

    def __init__(
        self, url: str, headers: Mapping[str, str], secure: ssl.SSLContext | None, again: range
    ) -> None:
        self._url, told = without_person(url)
        self._headers = CIMultiDict(told)
        self._headers.update({**headers, "content-encoding": "gzip"})
        self._ssl = secure
        self._again = again
        self._session: aiohttp.ClientSession | None = None

    async def post(self, body: bytes, lines: int) -> bytes:
        """The answer, its first `MAX_ANSWER` bytes. Raises `Away`, and `Refused` for all `lines`."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                headers=self._headers,
                timeout=aiohttp.ClientTimeout(total=SECONDS),
                auto_decompress=False,  # of a small answer of a stranger a large one
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        secure = self._ssl if self._ssl is not None else True
        try:
            async with self._session.post(
                self._url, data=gzip.compress(body, 4), allow_redirects=False, ssl=secure
            ) as reply:
                answer = await reply.content.read(MAX_ANSWER) if reply.status != 204 else b""
                if reply.status < 300:
                    return answer
                told = f"HTTP {reply.status} {_words(answer)}".strip()
                if reply.status == 429 or reply.status in self._again:
                    raise Away(told, retry_after(reply.headers.get("retry-after", "")))
                raise Refused(told, lines)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise Away(f"{type(error).__name__}: {_words(str(error).encode('utf-8', 'replace'))}") from error

    async def aclose(self) -> None:
        """Let go of the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None


def retry_after(value: str) -> float:
    """Seconds of a `Retry-After`, which is a number or a date (RFC 9110, 10.2.3); 0 for anything else."""
    if value.strip().isascii() and value.strip().isdigit():
        return float(value.strip()[:9])
    try:
        when = parsedate_to_datetime(value[:100])
    except (ValueError, TypeError, IndexError):
        return 0.0
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    return max(0.0, (when - datetime.now(UTC)).total_seconds())


def _words(answer: bytes) -> str:
    """What somebody else said, short and on one line."""
    return on_one_line(visible(answer[: _TOLD * 2].decode("utf-8", "replace").strip()))[:_TOLD]
