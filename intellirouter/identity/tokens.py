"""Tokens of people: our own, from `/auth/login`, and those of the issuers in `[[auth.jwt]]`.

A token that was checked is known by its SHA-256 until it ends, so that a check costs a look-up; who it stands for is asked of
the directory each time. Somebody who comes with a token of another issuer for the first time gets an account, so that they can be
seen, given roles, and blocked; its id is made of issuer and subject, so that all nodes make the same one.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import jwt
import msgspec
import structlog
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from intellirouter.config.schema.identity import ClaimsSection, JwtSection
from intellirouter.errors import AuthenticationFailed, Conflict, NotFound, StateError
from intellirouter.identity import store
from intellirouter.identity.issuers import Issuer
from intellirouter.identity.store import PeopleStore, follows
from intellirouter.security.caller import Caller
from intellirouter.security.people import MAX_NAMES, Account, Directory

ISSUER = AUDIENCE = "intellirouter"
ALGORITHM = "HS256"
MAX_CHARACTERS = 8_000
MAX_KNOWN = 20_000
MAX_WAITING = 10_000
MAX_CLAIM = 256

log = structlog.get_logger(__name__)
_ODD = re.compile(r"[\s/:?#\x00-\x1f\x7f]+")


class _Known(msgspec.Struct):
    """A token that was checked: whose, until when, made when, and of which sign-in.

    `caller` is who it stood for when the directory had changed `at` times.
    """

    account: str
    until: float
    made: float
    session: str
    caller: Caller | None = None
    at: int = -1


class Tokens:
    """See `TokenTaker`."""

    def __init__(self, directory: Directory, people: PeopleStore) -> None:
        self._directory = directory
        self._people = people
        self._signing: bytes | None = None
        self._issuers: dict[str, Issuer[JwtSection]] = {}
        self._known: OrderedDict[bytes, _Known] = OrderedDict()
        self._new: asyncio.Queue[Account] = asyncio.Queue(MAX_WAITING)

    def configure(self, issuers: Mapping[str, Issuer[JwtSection]]) -> None:
        """Take tokens of these issuers and of no others."""
        self._issuers = dict(issuers)
        self._known.clear()

    @property
    def issuers(self) -> Mapping[str, Issuer[JwtSection]]:
        """By their `iss`."""
        return self._issuers

    def troubles(self) -> list[str]:
        """See `TokenTaker.troubles`."""
        return [f"{name}: {one.trouble}" for name, one in self._issuers.items() if one.trouble]

    def sign_with(self, key: bytes) -> None:
        """Make and take tokens of our own, signed with this key."""
        self._signing = key

    def derived(self, purpose: str) -> bytes:
        """A key of 32 bytes of the same root, for something else (HKDF-SHA256, RFC 5869)."""
        if self._signing is None:
            raise AuthenticationFailed("Nobody signs in here.")
        info = f"intellirouter {purpose}".encode()
        return HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=info).derive(self._signing)

    def made(self, account: Account, session: str, seconds: float) -> str:
        """A token of our own."""
        if self._signing is None:
            raise AuthenticationFailed("Nobody signs in here.")
        now = time.time()
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": account.id,
            "sid": session,
            "iat": now,  # to the moment: a sign-out of the same second counts
            "exp": int(now + seconds),
            "name": account.name,
        }
        return jwt.encode(claims, self._signing, ALGORITHM)

    def caller(self, token: str) -> Caller:
        """See `TokenTaker.caller`."""
        if len(token) > MAX_CHARACTERS:
            raise AuthenticationFailed(f"The token is longer than {MAX_CHARACTERS:,} characters.")
        digest = hashlib.sha256(token.encode(errors="surrogateescape")).digest()
        known = self._known.get(digest)
        if known is None:
            known = self._checked(token)
            self._known[digest] = known
            if len(self._known) > MAX_KNOWN:
                self._known.popitem(last=False)
        if time.time() >= known.until:
            self._known.pop(digest, None)
            raise AuthenticationFailed("The token has expired.")
        if known.caller is None or known.at != self._directory.changes:
            known.at, known.caller = self._directory.changes, self._standing(known)
        return known.caller

    def until(self, token: str) -> float:
        """See `TokenTaker.until`."""
        digest = hashlib.sha256(token.encode(errors="surrogateescape")).digest()
        return (self._known.get(digest) or self._checked(token)).until

    def _standing(self, known: _Known) -> Caller:
        standing = self._directory.standing(known.account)
        account = self._directory.account(known.account)
        if standing is None or account is None:
            raise AuthenticationFailed("The token's user is not known here any more.")
        if standing.ended:
            raise AuthenticationFailed("The token's user is blocked.")
        if known.made < account.signed_out or (known.session and self._directory.revoked(known.session)):
            raise AuthenticationFailed("Who brings this token has signed out.")
        return (
            replace(standing.caller, metadata={"session": known.session})
            if known.session
            else standing.caller
        )

    def _checked(self, token: str) -> _Known:
        try:
            header = jwt.get_unverified_header(token)
            said = jwt.decode(token, options={"verify_signature": False})
            if "crit" in header:  # we know no extension that could be critical
                raise AuthenticationFailed("The token asks for an extension that is not known here.")
            issuer = said.get("iss")
            if issuer == ISSUER:
                return self._own(token, header)
            found = self._issuers.get(issuer) if isinstance(issuer, str) else None
            if found is None:
                raise AuthenticationFailed("The token is of an issuer that is not taken here.")
            return self._foreign(token, header, found)
        except jwt.PyJWTError as cause:
            raise AuthenticationFailed(f"The token was refused: {why(cause)}.") from cause
        except (ValueError, TypeError, ArithmeticError, RecursionError) as cause:
            raise AuthenticationFailed("The token was refused: it cannot be read.") from cause

    def _own(self, token: str, header: Mapping[str, Any]) -> _Known:
        if header.get("alg") != ALGORITHM or self._signing is None:
            raise AuthenticationFailed("The token was refused: it was not signed here.")
        claims = jwt.decode(
            token, self._signing, algorithms=[ALGORITHM], audience=AUDIENCE, issuer=ISSUER,
            options={"require": ["exp", "iat", "sub", "sid"]},
        )  # fmt: skip
        return _Known(str(claims["sub"]), float(claims["exp"]), float(claims["iat"]), str(claims["sid"]))

    def _foreign(self, token: str, header: Mapping[str, Any], issuer: Issuer[JwtSection]) -> _Known:
        section = issuer.section
        algorithm, kid = header.get("alg"), header.get("kid")
        if algorithm not in section.algorithms:
            raise AuthenticationFailed("The token was refused: its algorithm is not taken from its issuer.")
        if kid is not None and (not isinstance(kid, str) or len(kid) > MAX_CLAIM):
            raise AuthenticationFailed("The token was refused: its key's name is none.")
        claims = jwt.decode(  # jku, x5u and jwk of its header are never looked at
            token, issuer.key(kid, algorithm), algorithms=[algorithm], audience=list(section.audience),
            issuer=section.issuer, leeway=section.leeway_seconds, options={"require": ["exp", "iss", "aud", "sub"]},
        )  # fmt: skip
        if any(type(claims.get(name, 0)) not in (int, float) for name in ("exp", "nbf", "iat")):
            raise AuthenticationFailed("The token was refused: its times are no numbers.")  # RFC 7519, 2
        account = self._person(claims, section)
        until = float(claims["exp"]) + section.leeway_seconds
        # who does not say when it was made cannot say that it was after a sign-out
        return _Known(account.id, until, float(claims.get("iat", 0)), "")

    def _person(self, claims: Mapping[str, Any], section: ClaimsSection) -> Account:
        """Who it is, as the token says now; known to this node at once, and written down soon."""
        subject = claims["sub"]
        if not isinstance(subject, str) or not 0 < len(subject) <= MAX_CLAIM:
            raise AuthenticationFailed("The token was refused: its 'sub' is no name.")
        told = account_of(claims, section)
        there = self._directory.account(told.id)
        if there is None and self._directory.count >= store.MAX_ACCOUNTS:
            raise AuthenticationFailed("The token was refused: more people than are kept come here.")
        told = told if there is None else follows(there, told)
        if told != there:
            self._directory.put(told)
            try:
                self._new.put_nowait(told)
            except asyncio.QueueFull:
                log.warning("people.not_written", reason="too many new people at once")
        return told

    async def write(self) -> None:
        """Write down whom the tokens told of, for ever."""
        while True:
            account = await self._new.get()
            try:
                await self._written(account)
            except (StateError, Conflict, NotFound) as error:
                log.warning("people.not_written", user=account.name, reason=error.message)
            except Exception:
                log.exception("people.write_crashed")

    async def _written(self, account: Account) -> None:
        await self._people.vouched(account)


def account_of(claims: Mapping[str, Any], section: ClaimsSection) -> Account:
    """The account of somebody that an issuer vouches for."""
    subject = str(claims["sub"])
    if not _kept(subject):
        raise AuthenticationFailed("The token was refused: its 'sub' is no name.")
    digest = hashlib.sha256(f"{section.issuer}\0{subject}".encode()).hexdigest()
    named = claims.get(section.user_claim)
    host = urlsplit(section.issuer).hostname or section.issuer
    name = _ODD.sub("-", named if isinstance(named, str) and named else subject)[:64]
    name = "".join(one if one.isprintable() else "-" for one in name)  # what nobody sees would tell two apart
    teams = _words(claims.get(section.teams_claim))
    said = _words(claims.get(section.roles_claim))
    if section.role_map:
        said = tuple(section.role_map[word] for word in (*said, *teams) if word in section.role_map)
    tenant = claims.get(section.tenant_claim) if section.tenant_claim else None
    if section.tenant_claim and not (
        isinstance(tenant, str) and 0 < len(tenant) <= MAX_CLAIM and _kept(tenant)
    ):
        raise AuthenticationFailed(
            f"The token was refused: its claim '{section.tenant_claim}' names no tenant."
        )
    email, title = claims.get("email"), str(claims.get("name") or "")
    return Account(
        id=f"user_{digest[:16]}",
        name=f"{name}@{_ODD.sub('-', host)[:50]}-{digest[:6]}",
        created=time.time(),
        title=title[:MAX_CLAIM] if _kept(title) else "",
        email=email[:MAX_CLAIM] if isinstance(email, str) and _kept(email) else "",
        tenant=tenant if isinstance(tenant, str) else section.tenant,
        teams=teams,
        roles=tuple(dict.fromkeys((*section.roles, *said))),
        issuer=section.issuer,
        subject=subject,
    )


def _words(value: object) -> tuple[str, ...]:
    """Names of a claim: a list, or a text with blanks between them."""
    listed = value.split() if isinstance(value, str) else value if isinstance(value, list) else []
    return tuple(
        word for word in listed[:MAX_NAMES] if isinstance(word, str) and 0 < len(word) <= 128 and _kept(word)
    )


def _kept(text: str) -> bool:
    """Whether a text can be written down: JSON can say halves of characters (`\\ud800`), UTF-8 cannot."""
    return not any("\ud800" <= one <= "\udfff" for one in text)


def why(cause: jwt.PyJWTError) -> str:
    """A library's reason, which may quote the token, as ours."""
    reasons: tuple[tuple[type[jwt.PyJWTError], str], ...] = (
        (jwt.ExpiredSignatureError, "it has expired"),
        (jwt.ImmatureSignatureError, "it is not good yet"),
        (jwt.InvalidAudienceError, "it is for another program"),
        (jwt.InvalidIssuerError, "it is of another issuer"),
        (jwt.InvalidSignatureError, "its signature does not hold"),
        (jwt.MissingRequiredClaimError, "a claim is missing"),
    )
    return next((text for kind, text in reasons if isinstance(cause, kind)), "it does not hold")
