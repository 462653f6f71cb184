"""What is kept on disk, encrypted: AES-256-GCM (NIST SP 800-38D) with a key of its own for each purpose (HKDF-SHA256, RFC 5869).

A sealed value is a mark, the id of the master key, a random nonce of 96 bits, and what AES-GCM makes of the value; whose it is and where
it belongs are associated data, so that a value moved to another tenant or place does not open. What has no mark was kept before there
was a key and is taken as it is. 2^32 values a key and purpose are as many as random nonces allow.
"""

from __future__ import annotations

import base64
import hashlib
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from intellirouter.config.schema.security import SecuritySection, master_key
from intellirouter.errors import IntelliRouterError

MARK = b"\x00irs1"
TEXT_MARK = "irs1:"
_ID, _NONCE = 4, 12
_HEAD = len(MARK) + _ID + _NONCE


class NotOpened(IntelliRouterError):
    """A kept value cannot be read: its key is not here, or it was changed or moved."""

    code = "not_opened"
    status = 500


class Sealer:
    """The keys of a node. The first one seals, every one opens."""

    def __init__(self, keys: tuple[bytes, ...]) -> None:
        self._keys = {_id(key): key for key in reversed(keys)}
        self.current = _id(keys[0])
        self._made: dict[tuple[bytes, str], AESGCM] = {}

    @property
    def names(self) -> list[str]:
        """The ids of the keys, which tell nothing about them."""
        return sorted(id_.hex() for id_ in self._keys)

    @property
    def current_name(self) -> str:
        """The id of the key that seals."""
        return self.current.hex()

    def seal(self, purpose: str, place: str, value: bytes) -> bytes:
        """`value`, for `purpose` (a kind of thing), bound to its `place`: whose it is and under what name."""
        nonce = secrets.token_bytes(_NONCE)
        sealed = self._cipher(self.current, purpose).encrypt(nonce, value, place.encode())
        return b"".join((MARK, self.current, nonce, sealed))

    def open(self, purpose: str, place: str, value: bytes) -> bytes:
        """What was sealed; a value without a mark as it is. Raises `NotOpened`."""
        if not value.startswith(MARK):
            return value
        id_ = value[len(MARK) : len(MARK) + _ID]
        if id_ not in self._keys:
            raise NotOpened(
                f"What is kept was encrypted with key {id_.hex()}, which [security] does not have."
            )
        nonce = value[len(MARK) + _ID : _HEAD]
        try:
            return self._cipher(id_, purpose).decrypt(nonce, value[_HEAD:], place.encode())
        except (InvalidTag, ValueError) as error:
            raise NotOpened("What is kept was changed, or belongs somewhere else.") from error

    def seal_text(self, purpose: str, place: str, text: str) -> str:
        """The same for a text, as a text."""
        return (
            TEXT_MARK
            + base64.b64encode(self.seal(purpose, place, text.encode("utf-8", "surrogatepass"))).decode()
        )

    def open_text(self, purpose: str, place: str, text: str) -> str:
        """See `open`."""
        if not text.startswith(TEXT_MARK):
            return text
        try:
            sealed = base64.b64decode(text[len(TEXT_MARK) :], validate=True)
        except ValueError:
            return text  # a text that only begins like one
        return self.open(purpose, place, sealed).decode("utf-8", "surrogatepass")

    def is_sealed(self, value: bytes) -> bool:
        """Whether it is sealed, with whichever key."""
        return value.startswith(MARK)

    def is_current(self, value: bytes) -> bool:
        """Whether it is sealed, with the key that seals now."""
        return value.startswith(MARK + self.current)

    def is_current_text(self, text: str) -> bool:
        """The same for a text."""
        try:
            return text.startswith(TEXT_MARK) and self.is_current(
                base64.b64decode(text[len(TEXT_MARK) :], validate=True)
            )
        except ValueError:
            return False

    def key_for(self, purpose: str) -> bytes:
        """A key of 32 bytes for something else than sealing, of the key that seals now."""
        return self._derived(self.current, f"keyed {purpose}")

    def _cipher(self, id_: bytes, purpose: str) -> AESGCM:
        cipher = self._made.get((id_, purpose))
        if cipher is None:
            cipher = self._made[id_, purpose] = AESGCM(self._derived(id_, purpose))
        return cipher

    def _derived(self, id_: bytes, purpose: str) -> bytes:
        info = f"intellirouter at rest {purpose}".encode()
        return HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=info).derive(self._keys[id_])


def sealer_of(section: SecuritySection) -> Sealer | None:
    """The sealer of a configuration; None where it has no key."""
    if section.key is None:
        return None
    keys = (section.key, *section.previous_keys)
    return Sealer(tuple(master_key(key.get_secret_value()) for key in keys))


def _id(key: bytes) -> bytes:
    return hashlib.sha256(b"intellirouter key id\0" + key).digest()[:_ID]
