"""Addresses that let whoever has them answer one wait of one run, until a time: signed, and good for nothing else.

A link acts in the name of the key that made it, and ends with it. The secret that signs is made once and lies beside the runs, so that every
node takes the links of the others.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from dataclasses import dataclass, field

import msgspec
import sqlalchemy as sa

from intellirouter.chains.runtime.durable.sealing import SealedBytes
from intellirouter.errors import AuthenticationFailed
from intellirouter.roles.chain_engine.store import METADATA
from intellirouter.security.caller import Owner

_NAME = "approval-links"
_SECRETS = sa.Table(
    "intellirouter_chain_secrets",
    METADATA,
    sa.Column("name", sa.String(100), primary_key=True),
    sa.Column("value", SealedBytes("secrets.value"), nullable=False),
)


class Link(msgspec.Struct, frozen=True, array_like=True):
    """`until` is a Unix time; `path` is the step that waits. `asks` is the permission that its owner is to hold yet; of a link that a hook
    sends none: the operator has the owner's run asked about."""

    run_id: str
    path: str
    signal: str
    until: float
    owner: Owner
    asks: str = ""


@dataclass(slots=True)
class Links:
    """One a node. The secret is encrypted in its column where the node has a key. Blocking: call it in a thread."""

    engine: sa.Engine
    _secret: bytes = field(default=b"", repr=False)

    def token(self, link: Link) -> str:
        """The part of the address that holds it."""
        data = _text(msgspec.json.encode(link))
        return f"{data}.{_text(self._signature(data))}"

    def read(self, token: str, now: float) -> Link:
        """Raises `AuthenticationFailed` for one that was not made here, or is over."""
        data, _, signature = token.partition(".")
        try:
            fits = hmac.compare_digest(self._signature(data), _bytes(signature))
            link = msgspec.json.decode(_bytes(data), type=Link) if fits else None
        except (binascii.Error, ValueError):
            link = None
        if link is None:
            raise AuthenticationFailed("This link is not valid.")
        if link.until < now:
            raise AuthenticationFailed("This link is over.")
        return link

    def _signature(self, data: str) -> bytes:
        return hmac.new(self._key(), data.encode(), hashlib.sha256).digest()

    def _key(self) -> bytes:
        if not self._secret:
            self._secret = bytes.fromhex(self._kept())
        return self._secret

    def _kept(self) -> str:
        wanted = sa.select(_SECRETS.c.value).where(_SECRETS.c.name == _NAME)
        with self.engine.connect() as connection:
            found = connection.execute(wanted).scalar()
        if found is not None:
            return str(found.decode())
        made = secrets.token_hex(32)
        try:
            with self.engine.begin() as connection:
                connection.execute(_SECRETS.insert().values(name=_NAME, value=made.encode()))
        except sa.exc.IntegrityError:  # another node made it at the same moment
            return self._kept()
        return made


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
