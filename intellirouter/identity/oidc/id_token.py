"""What an ID token must say before anybody is taken for whom it names: OpenID Connect Core 1.0, 3.1.3.7 and 12.2."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from typing import Any

import jwt

from intellirouter.config.schema.identity import OidcSection
from intellirouter.errors import AuthenticationFailed
from intellirouter.identity.issuers import Issuer
from intellirouter.identity.oidc.errors import NotLetIn
from intellirouter.identity.tokens import MAX_CLAIM, why
from intellirouter.security.api_keys import KeysAwaited

MAX_CHARACTERS = 100_000


async def claims_of(
    token: str, issuer: Issuer[OidcSection], *, nonce: str | None, access_token: str = ""
) -> dict[str, Any]:
    """The claims of an ID token. `nonce` None: of one that a refresh or a device came with. Raises `NotLetIn`."""
    if len(token) > MAX_CHARACTERS:
        raise NotLetIn("The provider's ID token is too long.")
    try:
        try:
            claims = _checked(token, issuer)
        except KeysAwaited as awaited:
            await awaited.settled()
            claims = _checked(token, issuer)
    except jwt.PyJWTError as cause:
        raise NotLetIn(f"The provider's ID token was refused: {why(cause)}.") from cause
    except AuthenticationFailed as cause:
        raise NotLetIn(f"The provider's ID token was refused. {cause.message}") from cause
    except (ValueError, TypeError, RecursionError) as cause:
        raise NotLetIn("The provider's ID token was refused: it cannot be read.") from cause
    said = claims.get("nonce")
    if nonce is not None and not (
        isinstance(said, str) and hmac.compare_digest(said.encode(), nonce.encode())
    ):
        raise NotLetIn("The provider's ID token was refused: it was made for another sign-in.")
    _check_access_token(claims.get("at_hash"), token, access_token)
    return claims


def _checked(token: str, issuer: Issuer[OidcSection]) -> dict[str, Any]:
    section = issuer.section
    header = jwt.get_unverified_header(token)
    algorithm, kid = header.get("alg"), header.get("kid")
    if algorithm not in section.algorithms or "crit" in header:
        raise NotLetIn("The provider's ID token was refused: it is not signed as [[auth.oidc]] has it.")
    if kid is not None and (not isinstance(kid, str) or len(kid) > MAX_CLAIM):
        raise NotLetIn("The provider's ID token was refused: its key's name is none.")
    claims: dict[str, Any] = jwt.decode(
        token, issuer.key(kid, algorithm), algorithms=[algorithm], audience=section.client_id, issuer=section.issuer,
        leeway=section.leeway_seconds, options={"require": ["exp", "iat", "iss", "aud", "sub"]},
    )  # fmt: skip
    subject, party = claims["sub"], claims.get("azp")
    if not isinstance(subject, str) or not 0 < len(subject) <= MAX_CLAIM:
        raise NotLetIn("The provider's ID token was refused: its 'sub' is no name.")
    if party != section.client_id and (party is not None or _several(claims["aud"])):
        raise NotLetIn("The provider's ID token was refused: it was made for another program.")
    return claims


def _several(audience: object) -> bool:
    return isinstance(audience, list) and len(audience) > 1


def _check_access_token(said: object, token: str, access_token: str) -> None:
    """`at_hash` binds the access token to it, where it is there: the left half of a hash of its algorithm's size."""
    if said is None or not access_token:
        return
    algorithm = str(jwt.get_unverified_header(token).get("alg"))
    name = "sha512" if algorithm == "EdDSA" else f"sha{algorithm[-3:]}"
    digest = hashlib.new(name, access_token.encode()).digest()
    expected = base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=")
    if not isinstance(said, str) or not hmac.compare_digest(said.encode().rstrip(b"="), expected):
        raise NotLetIn("The provider's ID token was refused: it belongs to another access token.")


def check_required(claims: Mapping[str, Any], section: OidcSection) -> None:
    """Raises `NotLetIn` where a claim of `required_claims` does not hold."""
    for name, wanted in section.required_claims.items():
        said = claims.get(name)
        if said is True and wanted == "true":
            continue
        if said != wanted and not (isinstance(said, list) and wanted in said):
            raise NotLetIn(
                f"{section.shown} knows you, but its claim '{name}' is not the one that is let in here."
            )
