"""What binds records to one another, and to whoever has the key."""

from __future__ import annotations

import hashlib
import hmac

import msgspec

from intellirouter.security.audit.entry import Entry, Record

MAC_BYTES = 16
FIRST = "0" * 2 * MAC_BYTES
"""What stands in place of the mac before the first record."""
_MAC = b',"mac":"'
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Record).decode


class Signer:
    """A key of macs; `name` tells keys apart and nothing about them."""

    def __init__(self, key: bytes) -> None:
        self._key = hmac.new(key, b"intellirouter audit", hashlib.sha256).digest()
        self.name = self.mac(b"name")[:8]

    def mac(self, *parts: bytes) -> str:
        """Of these bytes, in hexadecimal."""
        return hmac.new(self._key, b"\0".join(parts), hashlib.sha256).digest()[:MAC_BYTES].hex()

    def line(self, entry: Entry, *, n: int, node: str, prev: str) -> tuple[bytes, str]:
        """The line of a record, with its end, and its mac."""
        fields = {"n": n, "node": node, "signed": self.name, **msgspec.to_builtins(entry), "prev": prev}
        body = _encode(fields)
        mac = self.mac(b"record", body)
        return _whole(body, mac.encode()), mac

    def holds(self, line: bytes) -> bool:
        """Whether the line is as it was written with this key."""
        body = line[: line.rfind(_MAC)] + b"}"
        mac = self.mac(b"record", body).encode()
        # the whole line: what stands behind its mac would be read as well
        return hmac.compare_digest(_whole(body, mac), line)


def _whole(body: bytes, mac: bytes) -> bytes:
    return b"".join((body[:-1], _MAC, mac, b'"}\n'))


def read(line: bytes) -> Record | None:
    """The record of a line, or None for what is none."""
    try:
        return _decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


class Head(msgspec.Struct, frozen=True):
    """Where a journal ends: the number and the mac of its last record, and until which number it was pruned."""

    n: int
    mac: str
    pruned: int = 0
    sum: str = ""

    def signed(self, signer: Signer, node: str) -> Head:
        """With the sum that proves it."""
        return Head(self.n, self.mac, self.pruned, self._sum(signer, node))

    def holds(self, signer: Signer, node: str) -> bool:
        """Whether it is as it was written with this key."""
        return hmac.compare_digest(self.sum.encode(), self._sum(signer, node).encode())

    def _sum(self, signer: Signer, node: str) -> str:
        return signer.mac(
            b"head", node.encode(), str(self.n).encode(), self.mac.encode(), str(self.pruned).encode()
        )
