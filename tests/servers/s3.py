"""A real S3 service for the tests, as `scripts/s3_server` puts it into the user's cache."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote
from xml.etree import ElementTree

import pytest

from tests.servers.ports import free_port

PROGRAM = (
    Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    / "intellirouter/s3-server/bin/moto_server"
)
START_DEADLINE = 60.0


class S3Server:
    """The service, asked without a client library."""

    def __init__(self, url: str) -> None:
        self.url = url

    def make(self, bucket: str) -> None:
        """A new bucket."""
        self._ask("PUT", bucket)

    def names(self, bucket: str) -> list[str]:
        """The keys of its objects."""
        return _texts(self._ask("GET", f"{bucket}?list-type=2"), "Key")

    def sizes(self, bucket: str) -> dict[str, int]:
        """The bytes of its objects by their keys, of any number of them."""
        found: dict[str, int] = {}
        more = f"{bucket}?list-type=2"
        while more:
            xml = self._ask("GET", more)
            found |= dict(zip(_texts(xml, "Key"), map(int, _texts(xml, "Size")), strict=True))
            following = _texts(xml, "NextContinuationToken")
            more = f"{bucket}?list-type=2&continuation-token={quote(following[0])}" if following else ""
        return found

    def half_sent(self, bucket: str) -> list[str]:
        """The keys of uploads that nobody finished or dropped."""
        return _texts(self._ask("GET", f"{bucket}?uploads"), "Key")

    def get(self, key: str) -> bytes:
        """The bytes of BUCKET/KEY."""
        return self._ask("GET", key)

    def put(self, key: str, data: bytes) -> None:
        """Replace the bytes of BUCKET/KEY."""
        self._ask("PUT", key, data)

    def _ask(self, method: str, path: str, data: bytes | None = None) -> bytes:
        headers = {
            "Authorization": "AWS4-HMAC-SHA256 Credential=test/20200101/us-east-1/s3/aws4_request",
            "Content-Type": "application/octet-stream",
        }
        request = urllib.request.Request(f"{self.url}/{path}", data, headers, method=method)
        with urllib.request.urlopen(request, timeout=120) as response:
            answer: bytes = response.read()
        return answer


def _texts(xml: bytes, tag: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(xml).iter() if element.tag.endswith(tag)]


@contextlib.contextmanager
def s3_server() -> Iterator[S3Server]:
    """A service that nobody else uses."""
    if not PROGRAM.is_file():
        if os.environ.get("CI"):
            raise RuntimeError(f"{PROGRAM} is not there: run scripts/s3_server")
        pytest.skip(f"{PROGRAM} is not there: run scripts/s3_server")
    port = free_port()
    process = subprocess.Popen(
        [PROGRAM, "-H", "127.0.0.1", "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        server = S3Server(f"http://127.0.0.1:{port}")
        deadline = time.monotonic() + START_DEADLINE
        while True:
            try:
                server.get("")
                break
            except (urllib.error.URLError, ConnectionError):
                if time.monotonic() > deadline or process.poll() is not None:
                    raise
                time.sleep(0.05)
        yield server
    finally:
        process.terminate()
        process.wait(10)
