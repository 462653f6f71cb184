"""The address of a collector as its clients take it: without the name and password that may stand in it."""

from __future__ import annotations

from base64 import b64encode
from urllib.parse import unquote, urlsplit


def without_person(url: str) -> tuple[str, dict[str, str]]:
    """The address, and its name and password as a header. Left in the address gRPC would look them up, and errors would tell them."""
    parts = urlsplit(url)
    person, _, where = parts.netloc.rpartition("@")
    if not person:
        return url, {}
    name, _, password = person.partition(":")
    pair = b64encode(f"{unquote(name)}:{unquote(password)}".encode()).decode()
    return parts._replace(netloc=where).geturl(), {"authorization": f"Basic {pair}"}
